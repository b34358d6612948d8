# error: nix2image: makeDiskImage: fileSystems."/".device is /dev/disk/by-partuuid/14e19a7b-0ae0-484d-9d54-43bd6fdc20c7, and the GUID of the image's root partition is f222513b-ded1-49fa-b591-20ce86a2fe7f; give the function the argument rootGPUID
(import ../../../nix {
  builder = ./disk-root-of-another-guid.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.generic-extlinux-compatible.enable = true;
      fileSystems."/".device = "/dev/disk/by-partuuid/14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
    };
    partitionTableType = "legacy+gpt";
    copyChannel = false;
  }
