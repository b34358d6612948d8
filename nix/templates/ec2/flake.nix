{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  # Where nix2image comes from: a name in your flake registry, or put an address here
  # ("github:…", "git+https://…", "path:…").
  inputs.nix2image.url = "flake:nix2image";
  inputs.nix2image.inputs.nixpkgs.follows = "nixpkgs";

  # nix build; result/nix-support/image-info.json says what is to be registered.
  outputs =
    { nixpkgs, nix2image, ... }:
    let
      instance = nixpkgs.lib.nixosSystem {
        modules = [
          "${nixpkgs}/nixos/maintainers/scripts/ec2/amazon-image.nix"
          nix2image.nixosModules.amazon-image
          ./configuration.nix
        ];
      };
    in
    {
      nixosConfigurations.instance = instance;

      packages.x86_64-linux.default = instance.config.system.build.amazonImage;
    };
}
