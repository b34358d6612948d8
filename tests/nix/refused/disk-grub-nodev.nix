# error: nix2image: makeDiskImage: boot.loader.grub has no device but "nodev", and no efiSupport, so that nothing would start it; set boot.loader.grub.device = "/dev/vda" or efiSupport = true, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-nodev.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "nodev";
      };
    };
    copyChannel = false;
  }
