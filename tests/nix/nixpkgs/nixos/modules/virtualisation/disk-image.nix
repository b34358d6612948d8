# The options and defaults of a disk image, and what follows them; the image itself is a stub.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.image;
in
{
  imports = [
    ./disk-size-option.nix
    ../image/file-options.nix
  ];

  options.image = {
    format = mkOption {
      type = types.str;
      default = "qcow2";
    };
    efiSupport = mkOption {
      type = types.bool;
      default = true;
    };
  };

  config = {
    boot.loader.grub.devices = lib.mkIf (!cfg.efiSupport) [ "/dev/vda" ];
    boot.loader.grub.enable = lib.mkDefault (!cfg.efiSupport);
    boot.loader.systemd-boot.enable = lib.mkDefault cfg.efiSupport;
    fileSystems = {
      "/" = {
        device = "/dev/disk/by-label/nixos";
        fsType = "ext4";
      };
      "/boot" = lib.mkIf cfg.efiSupport {
        device = "/dev/disk/by-label/ESP";
        fsType = "vfat";
      };
    };
    image.extension = cfg.format;
    system.build.image = pkgs.hello;
  };
}
