# error: nix2image: makeSdImage: preBuildCommands is shell text and needs a nixpkgs to run in: give `pkgs` to the function or to `import ./nix`, or use `contents`, which needs none
(import ../../../nix {
  builder = ./sd-pre-build-without-pkgs.nix;
  system = "x86_64-linux";
}).makeSdImage
  { preBuildCommands = "truncate -s +1M $root_fs"; }
