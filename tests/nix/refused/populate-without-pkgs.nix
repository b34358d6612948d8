# error: nix2image: makeExt4Fs: populateImageCommands is shell text and needs a nixpkgs to run in: give `pkgs` to the function or to `import ./nix`, or use `contents`, which needs none
(import ../../../nix {
  builder = ./populate-without-pkgs.nix;
  system = "x86_64-linux";
}).makeExt4Fs
  {
    storePaths = [ ];
    volumeLabel = "label";
    populateImageCommands = "touch files/a";
  }
