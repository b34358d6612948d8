# error: nix2image: makeSdImage: volumeLabel is unknown; here it is rootVolumeLabel
(import ../../../nix {
  builder = ./sd-label-by-its-other-name.nix;
  system = "x86_64-linux";
}).makeSdImage
  { volumeLabel = "NIXOS_SD"; }
