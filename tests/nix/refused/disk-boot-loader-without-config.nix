# error: nix2image: makeDiskImage: installBootLoader wants a `config` whose boot loader it is; give one, or installBootLoader = false
(import ../../../nix {
  builder = ./disk-boot-loader-without-config.nix;
  system = "x86_64-linux";
}).makeDiskImage
  { installBootLoader = true; }
