# error: nix2image: makeDiskImage: boot.loader.grub.extraPrepareConfig is to run where GRUB is installed, and nothing is run here; leave it out, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-prepare.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
        extraPrepareConfig = "ls /boot";
      };
    };
    copyChannel = false;
  }
