# error: nix2image: makeDiskImage: fileSystems."/".device is /dev/disk/by-label/root, and the label of the image's root is "nixos"; give the function the argument label = "root"
(import ../../../nix {
  builder = ./disk-root-of-another-label.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.generic-extlinux-compatible.enable = true;
      fileSystems."/".device = "/dev/disk/by-label/root";
    };
    copyChannel = false;
  }
