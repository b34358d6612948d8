# What has to be written to the store to be looked at, and so wants --read-write-mode: the files at
# the paths of the functions, and the sources of the package.
{
  nixpkgs ? ./nixpkgs,
  system ? "x86_64-linux",
  ...
}:
let
  pkgs = import nixpkgs { inherit system; };
  arguments = {
    storePaths = [ pkgs.hello ];
    volumeLabel = "NIXOS_SD";
  };

  root.system = pkgs.hello;

  package = pkgs.pkgsStatic.callPackage ../../nix/package.nix { };

  # Of a path, of a derivation, and with no system.
  functions = map (import ../../nix) [
    {
      builder = ./failures.nix;
      inherit system;
    }
    {
      builder = "${pkgs.hello}/bin/nix2image";
      inherit system;
    }
    { builder = ./failures.nix; }
  ];
in
import ./failures.nix {
  "import gives the same function" = {
    expr = map (
      { makeExt4Fs, ... }:
      (import makeExt4Fs.outPath arguments).drvPath == (makeExt4Fs arguments).drvPath
    ) functions;
    expected = [
      true
      true
      true
    ];
  };

  "import gives the functions of roots and cards too" = {
    expr = map (
      {
        makeRootFs,
        makeRootTar,
        makeSdImage,
        ...
      }:
      builtins.all (function: (import function.outPath root).drvPath == (function root).drvPath) [
        makeRootFs
        makeRootTar
        makeSdImage
      ]
    ) functions;
    expected = [
      true
      true
      true
    ];
  };

  "callPackage of the path gives the same derivation" = {
    expr = map (
      { makeExt4Fs, ... }:
      (pkgs.callPackage makeExt4Fs.outPath arguments).drvPath
      == (pkgs.callPackage makeExt4Fs arguments).drvPath
    ) functions;
    expected = [
      true
      true
      true
    ];
  };

  "the package is built from what cargo reads" = {
    expr = {
      top = builtins.readDir package.src;
      holdsFiles = builtins.pathExists "${package.src}/src/main.rs";
    };
    expected = {
      top = {
        "Cargo.lock" = "regular";
        "Cargo.toml" = "regular";
        benches = "directory";
        src = "directory";
        xtask = "directory";
      };
      holdsFiles = true;
    };
  };
}
