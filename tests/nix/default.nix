# All evaluation tests that only read: the list of what failed, which is to be [ ]. See README.md.
{
  # path: a nixpkgs, for its `callPackage` and its option types.
  nixpkgs ? ./nixpkgs,
  # string: the build platform.
  system ? "x86_64-linux",
}:
builtins.concatMap (file: import file { inherit nixpkgs system; }) [
  ./make-ext4-fs.nix
  ./make-disk-image.nix
  ./make-amazon-image.nix
  ./sizes.nix
  ./make-sd-image.nix
  ./closures.nix
  ./roots.nix
  ./modules.nix
  ./sd-image-module.nix
  ./disk-modules.nix
  ./call-package.nix
  ./platforms.nix
  ./overlay.nix
]
