# error: nix2image: makeDiskImage: boot.initrd.secrets are files of the machine that installs the boot loader, which no build has; leave them out of the image's configuration, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-initrd-secrets.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot.enable = true;
      boot.initrd.secrets."/key" = "/etc/key";
    };
    copyChannel = false;
  }
