# error: nix2image: makeDiskImage: boot.loader.grub.mirroredBoots names other places than /boot, and the image has one; leave it out, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-mirrors.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
        mirroredBoots = [
          { path = "/boot"; }
          { path = "/boot2"; }
        ];
      };
    };
    copyChannel = false;
  }
