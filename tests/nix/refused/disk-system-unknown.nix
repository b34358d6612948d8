# error: nix2image: makeDiskImage: what system the image is for is not known: give `pkgs`, the nixpkgs of the configuration
(import ../../../nix {
  builder = ./disk-system-unknown.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot.enable = true;
      nixpkgs = { };
    };
    copyChannel = false;
    partitionTableType = "efi";
  }
