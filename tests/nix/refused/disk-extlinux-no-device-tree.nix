# error: nix2image: makeDiskImage: boot.loader.generic-extlinux-compatible.useGenerationDeviceTree = false is not written here; or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-extlinux-no-device-tree.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.generic-extlinux-compatible.enable = true;
      boot.loader.generic-extlinux-compatible.useGenerationDeviceTree = false;
    };
    copyChannel = false;
  }
