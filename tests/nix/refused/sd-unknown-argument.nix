# error: called with unexpected argument 'firmwareLabel'
(import ../../../nix {
  builder = ./sd-unknown-argument.nix;
  system = "x86_64-linux";
}).makeSdImage
  { firmwareLabel = "FIRMWARE"; }
