# Whole systems, and their images: what the documents say, as a flake's outputs. The configurations
# are those of the templates.
{
  # flake: nixpkgs.
  nixpkgs,
  # attribute set: our modules for NixOS.
  nixosModules,
}:
let
  nixos = modules: nixpkgs.lib.nixosSystem { inherit modules; };
in
rec {
  configurations = {
    sd-card = nixos [
      "${nixpkgs}/nixos/modules/installer/sd-card/sd-image-aarch64.nix"
      nixosModules.sd-image
      ../templates/sd-card/configuration.nix
    ];
    ec2 = nixos [
      "${nixpkgs}/nixos/maintainers/scripts/ec2/amazon-image.nix"
      nixosModules.amazon-image
      ../templates/ec2/configuration.nix
    ];
  };

  # By the system that builds them.
  images = {
    aarch64-linux.sd-card = configurations.sd-card.config.system.build.sdImage;
    x86_64-linux.ec2 = configurations.ec2.config.system.build.amazonImage;
  };
}
