# error: nix2image: makeDiskImage: `pkgs` is for x86_64-linux and the configuration for aarch64-linux; give the `pkgs` of the configuration
(import ../../../nix {
  builder = ./disk-pkgs-of-another-platform.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot.enable = true;
      nixpkgs.hostPlatform.system = "aarch64-linux";
    };
    pkgs = import ../nixpkgs { system = "x86_64-linux"; };
    copyChannel = false;
    partitionTableType = "efi";
  }
