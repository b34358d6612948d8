# error: nix2image: makeDiskImage: boot.loader.generic-extlinux-compatible.mirroredBoots names more than one place, and the image has one; leave it out, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-extlinux-mirrors.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.generic-extlinux-compatible.enable = true;
      boot.loader.generic-extlinux-compatible.mirroredBoots = [
        { path = "/boot"; }
        { path = "/boot2"; }
      ];
    };
    copyChannel = false;
  }
