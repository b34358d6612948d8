# The file at the path of makeExt4Fs, imported. Writes to the store: wants --read-write-mode.
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
      { makeExt4Fs }: (import makeExt4Fs.outPath arguments).drvPath == (makeExt4Fs arguments).drvPath
    ) functions;
    expected = [
      true
      true
      true
    ];
  };

  "callPackage of the path gives the same derivation" = {
    expr = map (
      { makeExt4Fs }:
      (pkgs.callPackage makeExt4Fs.outPath arguments).drvPath
      == (pkgs.callPackage makeExt4Fs arguments).drvPath
    ) functions;
    expected = [
      true
      true
      true
    ];
  };
}
