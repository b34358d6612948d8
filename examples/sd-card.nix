# An SD card that boots a NixOS: nixpkgs' module for it, and ours behind it.
{
  nixpkgs,
  nix2image,
  ...
}:
nixpkgs.lib.nixosSystem {
  modules = [
    "${nixpkgs}/nixos/modules/installer/sd-card/sd-image-aarch64.nix"
    nix2image.nixosModules.sd-image
    ../nix/templates/sd-card/configuration.nix
  ];
}
