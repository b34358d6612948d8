# error: nix2image: makeDiskImage: boot.loader.systemd-boot.extraEfiDrivers are not installed here; leave them to the first nixos-rebuild, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-systemd-boot-drivers.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot = {
        enable = true;
        extraEfiDrivers."ext4.efi" = ./disk-systemd-boot-drivers.nix;
      };
    };
    partitionTableType = "efi";
    copyChannel = false;
  }
