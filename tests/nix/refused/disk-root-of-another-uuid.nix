# error: nix2image: makeDiskImage: fileSystems."/".device is /dev/disk/by-uuid/14e19a7b-0ae0-484d-9d54-43bd6fdc20c7, and the UUID of the image's root is f222513b-ded1-49fa-b591-20ce86a2fe7f; give the function the argument rootFSUID
(import ../../../nix {
  builder = ./disk-root-of-another-uuid.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.generic-extlinux-compatible.enable = true;
      fileSystems."/".device = "/dev/disk/by-uuid/14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
    };
    copyChannel = false;
  }
