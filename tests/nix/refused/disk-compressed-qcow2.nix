# error: nix2image: makeDiskImage: compressImage is for format "raw"; use "qcow2-compressed", or leave it out
(import ../../../nix {
  builder = ./disk-compressed-qcow2.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    format = "qcow2";
    compressImage = true;
  }
