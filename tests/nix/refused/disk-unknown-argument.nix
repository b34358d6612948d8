# error: nix2image: makeDiskImage: volumeLabel is unknown; docs/make-disk-image.md has all arguments
(import ../../../nix {
  builder = ./disk-unknown-argument.nix;
  system = "x86_64-linux";
}).makeDiskImage
  { volumeLabel = "root"; }
