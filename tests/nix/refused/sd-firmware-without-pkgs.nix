# error: nix2image: makeSdImage: populateFirmwareCommands is shell text and needs a nixpkgs to run in: give `pkgs` to the function or to `import ./nix`, or use `firmwareContents`, which needs none
(import ../../../nix {
  builder = ./sd-firmware-without-pkgs.nix;
  system = "x86_64-linux";
}).makeSdImage
  { populateFirmwareCommands = "touch firmware/a"; }
