# A NixOS module: beside nixpkgs' virtualisation/disk-image.nix, the same disk by makeDiskImage; see
# docs/modules.md.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (config) image;
  format = config.nix2image.diskImage.format or image.format;
  # Where the format has another name.
  extensions = {
    raw = "img";
    qcow2-compressed = "qcow2";
    vpc = "vhd";
  };
in
{
  imports = [ ./functions.nix ];

  options.nix2image.diskImage = lib.mkOption {
    type = lib.types.lazyAttrsOf lib.types.raw;
    default = { };
    example = lib.literalExpression ''{ additionalSpace = "2G"; }'';
    description = ''
      More arguments for nix2image's `makeDiskImage`, beside what `image` and
      `virtualisation.diskSize` say; they come before it.
    '';
  };

  # In a configuration with `image.modules` alone, there is such an image in its variants only.
  config = lib.optionalAttrs (options ? image.efiSupport) {
    # What the file is called, so that `image.filePath` is where it is.
    image.extension = lib.mkForce (extensions.${format} or format);

    system.build.image = lib.mkForce (
      config.nix2image.functions.makeDiskImage (
        {
          inherit config lib pkgs;
          inherit (image) baseName format;
          inherit (config.virtualisation) diskSize;
          partitionTableType = if image.efiSupport then "efi" else "legacy";
        }
        // config.nix2image.diskImage
      )
    );
  };
}
