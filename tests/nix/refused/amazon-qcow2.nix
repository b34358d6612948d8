# error: nix2image: makeAmazonImage: format "qcow2" is none that EC2 imports; use raw vpc, or makeDiskImage for another
(import ../../../nix {
  builder = ./amazon-qcow2.nix;
  system = "x86_64-linux";
}).makeAmazonImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      ec2.efi = false;
    };
    format = "qcow2";
  }
