# error: nix2image: makeDiskImage: boot.bootspec.enable is false, and the boot loader's entries are made of boot.json; enable it, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-no-bootspec.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot.enable = true;
      boot.bootspec.enable = false;
    };
    copyChannel = false;
  }
