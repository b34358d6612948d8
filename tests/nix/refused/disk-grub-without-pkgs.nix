# error: nix2image: makeDiskImage: boot.loader.grub takes GRUB from a nixpkgs: give `pkgs`
(import ../../../nix {
  builder = ./disk-grub-without-pkgs.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
      };
    };
    copyChannel = false;
  }
