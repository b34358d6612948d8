# error: nix2image: makeDiskImage: boot.loader.grub.default is "saved", and only the number of an entry is written here; give a number, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-default-by-title.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
        default = "saved";
      };
    };
    pkgs = import ../nixpkgs { system = "x86_64-linux"; };
    copyChannel = false;
  }
