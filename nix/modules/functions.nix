# A NixOS module: the functions that make images, for the modules that replace nixpkgs' own.
{ lib, pkgs, ... }:
let
  # The binary runs where the image is made.
  package =
    pkgs.buildPackages.nix2image
      or (pkgs.buildPackages.pkgsStatic.callPackage ../package.nix { });
in
{
  options.nix2image.functions = lib.mkOption {
    type = lib.types.raw;
    default = import ../. {
      builder = "${package}/bin/nix2image";
      inherit pkgs;
    };
    defaultText = lib.literalExpression "those of the checkout, with pkgs.buildPackages.nix2image or the package of the checkout";
    description = ''
      The functions that make the images: what `import ./nix { … }` of nix2image gives, or its
      flake's `lib.<system>`, for the platform that builds.
    '';
  };
}
