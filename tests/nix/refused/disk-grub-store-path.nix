# error: nix2image: makeDiskImage: boot.loader.grub.storePath is /store, and the kernels are in /nix/store of the root filesystem; leave it at that, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-store-path.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
        storePath = "/store";
      };
    };
    copyChannel = false;
  }
