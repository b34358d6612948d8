# A NixOS module: beside nixpkgs' sd-image.nix, the same SD image by makeSdImage; see
# docs/modules.md.
#
# It changes nothing of the system that boots. nixpkgs' first boot asks for one file,
# /nix-path-registration: if it is there, the root grows, what the file says is loaded into Nix's
# database, the system's profile is set, and the file is removed. In our root that file is empty,
# the database is full, and the profile is there: the root grows, and the rest has nothing to do.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  sdImage = config.sdImage;

  # Whether something else than nixpkgs' own default is wanted.
  isSet = name: options.sdImage ? ${name} && options.sdImage.${name}.highestPrio < defaultPriority;
  defaultPriority = (lib.mkOptionDefault null).priority;

  root =
    if isSet "rootFilesystemImage" then
      {
        inherit (sdImage) rootFilesystemImage;
        # As nixpkgs takes it.
        rootFilesystemCompressed = sdImage.compressImage;
      }
    else
      {
        inherit (sdImage)
          storePaths
          rootVolumeLabel
          rootPartitionUUID
          populateRootCommands
          ;
      }
      // (
        if isSet "rootFilesystemCreator" then
          { inherit (sdImage) rootFilesystemCreator; }
        else
          { system = config.system.build.toplevel; }
      );
in
{
  imports = [ ./functions.nix ];

  options.nix2image.sdImage = lib.mkOption {
    type = lib.types.lazyAttrsOf lib.types.raw;
    default = { };
    example = lib.literalExpression ''
      {
        firmwareContents = [
          {
            source = ./config.txt;
            target = "/config.txt";
          }
        ];
      }
    '';
    description = ''
      More arguments for nix2image's `makeSdImage`, beside what `sdImage` says; they come before it.
    '';
  };

  # In a configuration with `image.modules` alone, there is such an image in its variants only.
  config = lib.optionalAttrs (options ? sdImage) {
    system.build.sdImage = lib.mkForce (
      config.nix2image.functions.makeSdImage (
        root
        // {
          inherit pkgs;
          inherit (sdImage)
            firmwarePartitionOffset
            firmwarePartitionID
            firmwarePartitionName
            firmwareSize
            populateFirmwareCommands
            postBuildCommands
            compressImage
            ;
          # Newer than the others.
          preBuildCommands = sdImage.preBuildCommands or "";
          imageName =
            if options ? image.baseName then "${config.image.baseName}.img" else sdImage.imageName;
        }
        // config.nix2image.sdImage
      )
    );
  };
}
