# error: nix2image: makeDiskImage: the configuration enables more than one boot loader: grub systemd-boot; disable all but one
(import ../../../nix {
  builder = ./disk-two-loaders.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot.enable = true;
      boot.loader.grub.enable = true;
    };
    copyChannel = false;
  }
