# The options and defaults of an image for EC2, and what follows them; the image itself is a stub.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  inherit (config.ec2) efi;
in
{
  imports = [
    ../../../modules/virtualisation/disk-size-option.nix
    ../../../modules/image/file-options.nix
  ];

  options = {
    amazonImage.contents = mkOption {
      type = types.listOf types.raw;
      default = [ ];
    };
    amazonImage.format = mkOption {
      type = types.str;
      default = "vpc";
    };
    ec2.efi = mkOption {
      type = types.bool;
      default = pkgs.stdenv.hostPlatform.system == "aarch64-linux";
    };
  };

  config = {
    boot.loader.timeout = lib.mkOverride 99 1;
    boot.loader.grub.device = if efi then "nodev" else "/dev/xvda";
    boot.loader.grub.efiSupport = efi;
    fileSystems = {
      "/" = {
        device = "/dev/disk/by-label/nixos";
        fsType = "ext4";
      };
      "/boot" = lib.mkIf efi {
        device = "/dev/disk/by-label/ESP";
        fsType = "vfat";
      };
    };
    virtualisation.diskSize = lib.mkOverride 1490 4096;
    image.extension = if config.amazonImage.format == "vpc" then "vhd" else config.amazonImage.format;
    system.build.image = config.system.build.amazonImage;
    system.build.amazonImage = pkgs.hello;
  };
}
