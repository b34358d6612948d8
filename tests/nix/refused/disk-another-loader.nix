# error: nix2image: makeDiskImage: boot.loader.limine cannot be installed without running it; use systemd-boot, grub or generic-extlinux-compatible, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-another-loader.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.limine.enable = true;
    };
    copyChannel = false;
  }
