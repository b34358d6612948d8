# error: nix2image: makeDiskImage: fileSystems."/".fsType is "btrfs", and the image's root is ext4; set it to "ext4"
(import ../../../nix {
  builder = ./disk-root-of-another-type.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.generic-extlinux-compatible.enable = true;
      fileSystems."/" = {
        device = "/dev/disk/by-label/nixos";
        fsType = "btrfs";
      };
    };
    copyChannel = false;
  }
