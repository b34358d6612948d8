# error: nix2image: makeAmazonImage: systemd-boot is for UEFI alone; use boot = "uefi", or boot.loader.grub
(import ../../../nix {
  builder = ./amazon-systemd-boot-of-a-bios.nix;
  system = "x86_64-linux";
}).makeAmazonImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot.enable = true;
    };
    boot = "hybrid";
    copyChannel = false;
  }
