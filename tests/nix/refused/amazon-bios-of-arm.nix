# error: nix2image: makeAmazonImage: boot is "bios", and aarch64-linux has no BIOS; use "uefi"
(import ../../../nix {
  builder = ./amazon-bios-of-arm.nix;
  system = "x86_64-linux";
}).makeAmazonImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      nixpkgs.hostPlatform.system = "aarch64-linux";
    };
    boot = "bios";
  }
