# error: nix2image: makeSdImage: postBuildCommands is shell text and needs a nixpkgs to run in: give `pkgs` to the function or to `import ./nix`, or use `raw`, which needs none
(import ../../../nix {
  builder = ./sd-post-build-without-pkgs.nix;
  system = "x86_64-linux";
}).makeSdImage
  { postBuildCommands = "truncate -s +1M $img"; }
