# The package and the overlay.
{
  nixpkgs ? ./nixpkgs,
  ...
}:
let
  overlays = [ (import ../../nix/overlay.nix) ];
  native = import nixpkgs {
    inherit overlays;
    system = "x86_64-linux";
  };
  cross = import nixpkgs {
    inherit overlays;
    system = "x86_64-linux";
    crossSystem.system = "aarch64-linux";
  };

  arguments = {
    storePaths = [ cross.hello ];
    volumeLabel = "label";
  };
in
import ./failures.nix {
  "the package is the static one" = {
    expr = native.nix2image.drvPath == native.pkgsStatic.nix2image.drvPath;
    expected = true;
  };

  "the builder is the build platform's package" = {
    expr = map (pkgs: (pkgs.nix2imageLib.makeExt4Fs arguments).builder) [
      native
      cross
    ];
    expected = [
      "${native.nix2image}/bin/nix2image"
      "${native.nix2image}/bin/nix2image"
    ];
  };

  "the image is built on the build platform" = {
    expr = (cross.nix2imageLib.makeExt4Fs arguments).system;
    expected = "x86_64-linux";
  };
}
