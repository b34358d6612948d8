# makeExt4Fs as `callPackage` and `sdImage.rootFilesystemCreator` take it.
{
  nixpkgs ? ./nixpkgs,
  system ? "x86_64-linux",
  ...
}:
let
  pkgs = import nixpkgs { inherit system; };
  inherit (pkgs) lib;

  builder = "${pkgs.hello}/bin/nix2image";
  inherit
    (import ../../nix {
      inherit builder system;
    })
    makeExt4Fs
    ;

  # As sd-image.nix calls its creator.
  arguments = {
    storePaths = [ pkgs.hello ];
    compressImage = true;
    populateImageCommands = "touch files/a";
    volumeLabel = "NIXOS_SD";
  };
  plain = makeExt4Fs (arguments // { inherit pkgs; });

  creator = lib.types.oneOf [
    lib.types.package
    lib.types.path
  ];
  merged =
    creator.merge
      [
        "sdImage"
        "rootFilesystemCreator"
      ]
      [
        {
          file = "configuration.nix";
          value = makeExt4Fs;
        }
      ];
in
import ./failures.nix {
  "callPackage gives what a call gives" = {
    expr = (pkgs.callPackage makeExt4Fs arguments).drvPath == plain.drvPath;
    expected = true;
  };

  "callPackage's result can be overridden" = {
    expr =
      ((pkgs.callPackage makeExt4Fs arguments).override {
        compressImage = false;
      }).drvPath == (makeExt4Fs (
        arguments
        // {
          inherit pkgs;
          compressImage = false;
        }
      )).drvPath;
    expected = true;
  };

  # `pkgs.time` is a program, and `pkgs.system` the host platform's.
  "callPackage fills nixpkgs' formals only" = {
    expr = builtins.attrNames (lib.functionArgs makeExt4Fs);
    expected = [
      "compressImage"
      "e2fsprogs"
      "fakeroot"
      "lib"
      "libfaketime"
      "lkl"
      "perl"
      "pkgs"
      "populateImageCommands"
      "storePaths"
      "uuid"
      "volumeLabel"
      "zstd"
    ];
  };

  # Of another name, the call would be an error.
  "the formals that callPackage fills are taken by the function" = {
    expr =
      (makeExt4Fs (builtins.mapAttrs (name: _: arguments.${name} or null) makeExt4Fs.__functionArgs))
      .name;
    expected = "ext4-fs.img.zst";
  };

  "our own arguments pass through callPackage" = {
    expr =
      (pkgs.callPackage makeExt4Fs (
        arguments
        // {
          name = "root.img";
          time = 7;
        }
      )).nix2image.time;
    expected = 7;
  };

  "the option's type takes it, and would take no bare function" = {
    expr = map creator.check [
      makeExt4Fs
      (makeExt4Fs.__functor makeExt4Fs)
    ];
    expected = [
      true
      false
    ];
  };

  "the option's value serves callPackage" = {
    expr = (pkgs.callPackage merged arguments).drvPath == plain.drvPath;
    expected = true;
  };

  "the path is a file in the store" = {
    expr = lib.isStorePath makeExt4Fs && lib.types.path.check makeExt4Fs;
    expected = true;
  };
}
