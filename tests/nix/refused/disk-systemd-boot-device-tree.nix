# error: nix2image: makeDiskImage: boot.loader.systemd-boot.installDeviceTree is not done here; use generic-extlinux-compatible, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-systemd-boot-device-tree.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot = {
        enable = true;
        installDeviceTree = true;
      };
    };
    partitionTableType = "efi";
    copyChannel = false;
  }
