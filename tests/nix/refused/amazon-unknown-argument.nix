# error: nix2image: makeAmazonImage: volumeLabel is unknown; docs/make-amazon-image.md has all arguments
(import ../../../nix {
  builder = ./amazon-unknown-argument.nix;
  system = "x86_64-linux";
}).makeAmazonImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/xvda";
      };
    };
    volumeLabel = "root";
    copyChannel = false;
  }
