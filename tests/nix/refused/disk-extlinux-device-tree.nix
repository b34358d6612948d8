# error: nix2image: makeDiskImage: hardware.deviceTree.name is not written into extlinux.conf here, which gives the boot loader all device trees to choose from; or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-extlinux-device-tree.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.generic-extlinux-compatible.enable = true;
      hardware.deviceTree.name = "board.dtb";
    };
    copyChannel = false;
  }
