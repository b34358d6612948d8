# error: nix2image: makeDiskImage: boot.loader.grub.version 1 is not known here; use 2
(import ../../../nix {
  builder = ./disk-grub-version-1.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
        version = 1;
      };
    };
    copyChannel = false;
  }
