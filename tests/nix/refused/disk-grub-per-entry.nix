# error: nix2image: makeDiskImage: boot.loader.grub.extraPerEntryConfig is not written here; use extraConfig, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-per-entry.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
        extraPerEntryConfig = "root (hd0)";
      };
    };
    copyChannel = false;
  }
