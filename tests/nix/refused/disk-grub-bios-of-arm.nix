# error: nix2image: makeDiskImage: boot.loader.grub.device is for a BIOS, and the image is not for x86; set it to "nodev", with efiSupport = true
(import ../../../nix {
  builder = ./disk-grub-bios-of-arm.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      nixpkgs.hostPlatform.system = "aarch64-linux";
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
      };
    };
    copyChannel = false;
  }
