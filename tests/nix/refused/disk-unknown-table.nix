# error: nix2image: makeDiskImage: partitionTableType "mbr" is unknown; there are efi efixbootldr hybrid legacy legacy+boot legacy+gpt none
(import ../../../nix {
  builder = ./disk-unknown-table.nix;
  system = "x86_64-linux";
}).makeDiskImage
  { partitionTableType = "mbr"; }
