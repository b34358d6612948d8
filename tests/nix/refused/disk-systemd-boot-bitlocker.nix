# error: nix2image: makeDiskImage: boot.loader.systemd-boot.rebootForBitlocker is not written here; leave it to the first nixos-rebuild, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-systemd-boot-bitlocker.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot = {
        enable = true;
        rebootForBitlocker = true;
      };
    };
    partitionTableType = "efi";
    copyChannel = false;
  }
