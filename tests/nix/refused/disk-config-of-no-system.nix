# error: nix2image: makeDiskImage: config has no system.build.toplevel; give the `config` of a NixOS
(import ../../../nix {
  builder = ./disk-config-of-no-system.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = { };
    installBootLoader = false;
    copyChannel = false;
  }
