# error: nix2image: makeDiskImage: boot.loader.grub.enableCryptodisk is for an encrypted /boot, and the image's is not; set it to false, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-cryptodisk.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
        enableCryptodisk = true;
      };
    };
    copyChannel = false;
  }
