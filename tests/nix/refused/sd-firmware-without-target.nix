# error: nix2image: makeSdImage: firmwareContents[0] has no target
(import ../../../nix {
  builder = ./sd-firmware-without-target.nix;
  system = "x86_64-linux";
}).makeSdImage
  { firmwareContents = [ { source = ./sd-firmware-without-target.nix; } ]; }
