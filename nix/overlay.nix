# The package as `nix2image`, the functions as `nix2imageLib`.
final: _prev: {
  nix2image = final.pkgsStatic.callPackage ./package.nix { };

  # The binary runs on the build platform, whatever the image is for.
  nix2imageLib = import ./. {
    builder = "${final.buildPackages.nix2image}/bin/nix2image";
    system = final.stdenv.buildPlatform.system;
    pkgs = final;
  };
}
