# error: nix2image: makeSdImage: container is unknown; an SD image is a raw disk with this table: makeDiskImage makes others
(import ../../../nix {
  builder = ./sd-another-container.nix;
  system = "x86_64-linux";
}).makeSdImage
  { container = "qcow2"; }
