# A NixOS module: beside nixpkgs' maintainers/scripts/ec2/amazon-image.nix, the same image by
# makeAmazonImage; see docs/modules.md.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
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
