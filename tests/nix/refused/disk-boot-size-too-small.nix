# error: nix2image: makeDiskImage: bootSize is where the boot partition ends, and with partitionTableType "efixbootldr" it begins at 100 MiB; give more than 100M
(import ../../../nix {
  builder = ./disk-boot-size-too-small.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    partitionTableType = "efixbootldr";
    bootSize = "64M";
  }
