# error: nix2image: makeAmazonImage: ec2.zfs.enable wants ZFS, and only ext4 is made here; set it to false, or use nixpkgs' image
(import ../../../nix {
  builder = ./amazon-zfs.nix;
  system = "x86_64-linux";
}).makeAmazonImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      ec2.zfs.enable = true;
    };
    copyChannel = false;
  }
