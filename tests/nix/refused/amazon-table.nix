# error: nix2image: makeAmazonImage: partitionTableType is no argument here; use makeDiskImage, whose argument it is
(import ../../../nix {
  builder = ./amazon-table.nix;
  system = "x86_64-linux";
}).makeAmazonImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      ec2.efi = false;
    };
    partitionTableType = "efi";
  }
