# error: nix2image: makeDiskImage: touchEFIVars wants the variables of a firmware, and no VM runs here; the image boots without them, and the first nixos-rebuild sets them with boot.loader.efi.canTouchEfiVariables = true
(import ../../../nix {
  builder = ./disk-efi-variables.nix;
  system = "x86_64-linux";
}).makeDiskImage
  { touchEFIVars = true; }
