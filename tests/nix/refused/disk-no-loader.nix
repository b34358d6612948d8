# error: nix2image: makeDiskImage: the configuration enables no boot loader; enable boot.loader.systemd-boot, grub or generic-extlinux-compatible, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-no-loader.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" { };
    copyChannel = false;
  }
