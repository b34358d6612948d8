# error: nix2image: makeDiskImage: fileSystems."/boot".device is /dev/disk/by-label/boot, and the label of the image's partition is "ESP"; set it to "/dev/disk/by-label/ESP"
(import ../../../nix {
  builder = ./disk-boot-of-another-label.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot.enable = true;
      fileSystems."/".device = "/dev/disk/by-label/nixos";
      fileSystems."/boot".label = "boot";
    };
    partitionTableType = "efi";
    copyChannel = false;
  }
