# error: nix2image: makeDiskImage: format "vdi" is not written here; there are qcow2 qcow2-compressed raw vpc, and `qemu-img convert -O vdi` makes it of one of them
(import ../../../nix {
  builder = ./disk-vdi.nix;
  system = "x86_64-linux";
}).makeDiskImage
  { format = "vdi"; }
