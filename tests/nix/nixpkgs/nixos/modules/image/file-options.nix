# What an image is called.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.image = {
    baseName = mkOption {
      type = types.str;
      default = "nixos-image";
    };
    extension = mkOption { type = types.str; };
    fileName = mkOption {
      type = types.str;
      default = "${config.image.baseName}.${config.image.extension}";
    };
    filePath = mkOption {
      type = types.str;
      default = config.image.fileName;
    };
  };
}
