# error: nix2image: makeDiskImage: boot.lanzaboote signs what boots with a key of the machine, which no build has; use systemd-boot for the image and lanzaboote from the first nixos-rebuild on, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-lanzaboote.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.lanzaboote.enable = true;
    };
    copyChannel = false;
  }
