# The options and defaults of the SD image, and what follows them; the image itself is a stub.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.sdImage;
  option = type: default: mkOption { inherit type default; };
  unset = type: mkOption { inherit type; };
  imageFile = types.oneOf [
    types.package
    types.path
  ];
in
{
  imports = [ ../../image/file-options.nix ];

  options.sdImage = {
    storePaths = unset (types.listOf types.package);
    firmwarePartitionOffset = option types.int 8;
    firmwarePartitionID = option types.str "0x2178694e";
    firmwarePartitionName = option types.str "FIRMWARE";
    rootPartitionUUID = option (types.nullOr types.str) null;
    rootVolumeLabel = option types.str "NIXOS_SD";
    rootFilesystemCreator = option imageFile ./sd-image.nix;
    rootFilesystemImage = option types.package pkgs.hello;
    firmwareSize = option types.int 30;
    populateFirmwareCommands = unset types.lines;
    populateRootCommands = unset types.lines;
    preBuildCommands = option types.lines "";
    postBuildCommands = option types.lines "";
    compressImage = option types.bool true;
    expandOnBoot = option types.bool true;
    nixPathRegistrationFile = option types.str "/nix-path-registration";
  };

  config = {
    sdImage.storePaths = [ config.system.build.toplevel ];
    image.extension = if cfg.compressImage then "img.zst" else "img";
    image.filePath = "sd-image/${config.image.fileName}";
    system.build.image = config.system.build.sdImage;
    system.build.sdImage = pkgs.hello;

    systemd.services.register-nix-paths.script = "nix-store --load-db < ${cfg.nixPathRegistrationFile}";
  };
}
