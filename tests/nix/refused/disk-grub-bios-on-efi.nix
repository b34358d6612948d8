# error: nix2image: makeDiskImage: boot.loader.grub.device is for a BIOS, and partitionTableType "efi" has no room for its image; use partitionTableType "legacy", "legacy+boot", "legacy+gpt" or "hybrid", or set boot.loader.grub.device = "nodev"
(import ../../../nix {
  builder = ./disk-grub-bios-on-efi.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
      };
    };
    partitionTableType = "efi";
    copyChannel = false;
  }
