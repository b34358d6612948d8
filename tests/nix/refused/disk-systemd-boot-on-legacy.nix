# error: nix2image: makeDiskImage: systemd-boot stands in an EFI system partition, which partitionTableType "legacy" has not; use partitionTableType "efi", "efixbootldr" or "hybrid", or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-systemd-boot-on-legacy.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot.enable = true;
    };
    copyChannel = false;
  }
