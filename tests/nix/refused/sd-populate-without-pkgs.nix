# error: nix2image: makeSdImage: populateRootCommands is shell text and needs a nixpkgs to run in: give `pkgs` to the function or to `import ./nix`, or use `contents`, which needs none
(import ../../../nix {
  builder = ./sd-populate-without-pkgs.nix;
  system = "x86_64-linux";
}).makeSdImage
  { populateRootCommands = "touch files/a"; }
