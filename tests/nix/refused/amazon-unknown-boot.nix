# error: nix2image: makeAmazonImage: boot is "efi"; it is one of bios hybrid uefi
(import ../../../nix {
  builder = ./amazon-unknown-boot.nix;
  system = "x86_64-linux";
}).makeAmazonImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      ec2.efi = false;
    };
    boot = "efi";
    copyChannel = false;
  }
