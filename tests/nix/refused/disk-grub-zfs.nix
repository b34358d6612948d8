# error: nix2image: makeDiskImage: boot.loader.grub.zfsSupport and trustedBoot want another GRUB than is installed here; set them to false, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-zfs.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
        zfsSupport = true;
      };
    };
    copyChannel = false;
  }
