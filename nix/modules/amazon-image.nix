# A NixOS module: beside nixpkgs' maintainers/scripts/ec2/amazon-image.nix, the same image by
# makeAmazonImage; see docs/modules.md.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  format = config.nix2image.amazonImage.format or config.amazonImage.format;
in
{
  imports = [ ./functions.nix ];

  options.nix2image.amazonImage = lib.mkOption {
    type = lib.types.lazyAttrsOf lib.types.raw;
    default = { };
    example = lib.literalExpression ''{ boot = "hybrid"; }'';
    description = ''
      More arguments for nix2image's `makeAmazonImage`, beside what `amazonImage`, `image`, `ec2` and
      `virtualisation.diskSize` say; they come before it.
    '';
  };

  # In a configuration with `image.modules` alone, there is such an image in its variants only.
  config = lib.optionalAttrs (options ? amazonImage) {
    # What the file is called, so that `image.filePath` is where it is.
    image = lib.optionalAttrs (options ? image.extension) {
      extension = lib.mkForce (if format == "vpc" then "vhd" else "img");
    };

    # nixpkgs' system.build.image follows it.
    system.build.amazonImage = lib.mkForce (
      config.nix2image.functions.makeAmazonImage (
        {
          inherit config lib pkgs;
        }
        # Older ones have no `image` and no `virtualisation.diskSize`.
        // lib.optionalAttrs (!(options ? image.baseName)) { inherit (config.amazonImage) name; }
        // lib.optionalAttrs (!(options ? virtualisation.diskSize)) {
          diskSize = config.amazonImage.sizeMB;
        }
        // config.nix2image.amazonImage
      )
    );
  };
}
