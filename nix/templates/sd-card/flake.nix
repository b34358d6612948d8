{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  # Where nix2image comes from: a name in your flake registry, or put an address here
  # ("github:…", "git+https://…", "path:…").
  inputs.nix2image.url = "flake:nix2image";
  inputs.nix2image.inputs.nixpkgs.follows = "nixpkgs";

  # nix build; zstdcat result/sd-image/*.img.zst is what belongs on the card.
  outputs =
    { nixpkgs, nix2image, ... }:
    let
      card = nixpkgs.lib.nixosSystem {
        modules = [
          # For the Raspberry Pi; other boards have others beside it.
          "${nixpkgs}/nixos/modules/installer/sd-card/sd-image-aarch64.nix"
          nix2image.nixosModules.sd-image
          ./configuration.nix
        ];
      };
    in
    {
      nixosConfigurations.card = card;

      # On an x86-64 machine, `nixpkgs.buildPlatform = "x86_64-linux"` in the configuration builds
      # the whole system there; the image itself is made on either.
      packages = nixpkgs.lib.genAttrs [ "aarch64-linux" "x86_64-linux" ] (_: {
        default = card.config.system.build.sdImage;
      });
    };
}
