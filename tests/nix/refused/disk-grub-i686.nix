# error: nix2image: makeDiskImage: boot.loader.grub.forcei686 is not done here; set it to false, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-i686.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "nodev";
        efiSupport = true;
        forcei686 = true;
      };
    };
    partitionTableType = "efi";
    copyChannel = false;
  }
