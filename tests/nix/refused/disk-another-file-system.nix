# error: nix2image: makeDiskImage: fsType is "xfs", and only "ext4" is made here; use nixpkgs' make-disk-image.nix for another
(import ../../../nix {
  builder = ./disk-another-file-system.nix;
  system = "x86_64-linux";
}).makeDiskImage
  { fsType = "xfs"; }
