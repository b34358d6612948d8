# error: nix2image: makeDiskImage: diskSize is "512MB", which is no size; write it as "512M" or "2G", where K, M, G and T are powers of 1024
(import ../../../nix {
  builder = ./disk-no-size.nix;
  system = "x86_64-linux";
}).makeDiskImage
  { diskSize = "512MB"; }
