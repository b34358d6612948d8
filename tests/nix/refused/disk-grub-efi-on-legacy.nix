# error: nix2image: makeDiskImage: boot.loader.grub.efiSupport wants an EFI system partition, which partitionTableType "legacy" has not; use partitionTableType "efi", "efixbootldr" or "hybrid", or set it to false
(import ../../../nix {
  builder = ./disk-grub-efi-on-legacy.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "nodev";
        efiSupport = true;
      };
    };
    copyChannel = false;
  }
