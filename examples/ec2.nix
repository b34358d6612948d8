# A disk of a NixOS for Amazon EC2: nixpkgs' module for it, and ours behind it.
{
  nixpkgs,
  nix2image,
  ...
}:
nixpkgs.lib.nixosSystem {
  modules = [
    "${nixpkgs}/nixos/maintainers/scripts/ec2/amazon-image.nix"
    nix2image.nixosModules.amazon-image
    ../nix/templates/ec2/configuration.nix
  ];
}
