# Which platform is which: the builder's is the build platform's, the closure may be of any.
{
  nixpkgs ? ./nixpkgs,
  ...
}:
let
  # `builtins.currentSystem` is an error in whatever this imports.
  importPurely = builtins.scopedImport scope;
  scope = {
    import = importPurely;
    builtins = builtins // {
      currentSystem = throw "builtins.currentSystem is used";
    };
  };

  native = import nixpkgs { system = "x86_64-linux"; };
  cross = import nixpkgs {
    system = "x86_64-linux";
    crossSystem.system = "aarch64-linux";
  };

  foreign = derivation {
    name = "foreign";
    system = "aarch64-linux";
    builder = "/bin/false";
  };
  arguments = {
    storePaths = [ foreign ];
    volumeLabel = "label";
  };
  functionsOf = importPurely ../../nix;

  # The derivation of the tar file.
  filesOf =
    pkgs:
    (builtins.head
      (pkgs.callPackage (functionsOf { builder = ./failures.nix; }).makeExt4Fs (
        arguments // { populateImageCommands = "touch files/a"; }
      )).nix2image.contents
    ).source;
in
import ./failures.nix {
  "the test sees builtins.currentSystem" = {
    expr = (functionsOf { builder = ./failures.nix; }).makeExt4Fs arguments;
    expected = "threw";
  };

  "with a system, builtins.currentSystem is not used" = {
    expr =
      builtins.isString
        ((functionsOf {
          builder = ./failures.nix;
          system = "aarch64-linux";
          pkgs = native;
        }).makeExt4Fs
          (arguments // { populateImageCommands = "touch files/a"; })
        ).drvPath;
    expected = true;
  };

  "a closure of another platform" = {
    expr =
      let
        image =
          (functionsOf {
            builder = ./failures.nix;
            system = "x86_64-linux";
          }).makeExt4Fs
            arguments;
      in
      {
        inherit (image) system;
        instantiates = builtins.isString image.drvPath;
      };
    expected = {
      system = "x86_64-linux";
      instantiates = true;
    };
  };

  "the system is the build platform's of pkgs" = {
    expr =
      let
        inherit (functionsOf { builder = ./failures.nix; }) makeExt4Fs;
      in
      [
        (cross.callPackage makeExt4Fs arguments).system
        (makeExt4Fs (arguments // { pkgs = cross; })).system
        ((functionsOf {
          builder = ./failures.nix;
          pkgs = cross;
        }).makeExt4Fs
          arguments
        ).system
      ];
    expected = [
      "x86_64-linux"
      "x86_64-linux"
      "x86_64-linux"
    ];
  };

  "a given system wins" = {
    expr =
      (cross.callPackage
        (functionsOf {
          builder = ./failures.nix;
          system = "aarch64-linux";
        }).makeExt4Fs
        arguments
      ).system;
    expected = "aarch64-linux";
  };

  "populateImageCommands run on the build platform" = {
    expr = map (pkgs: (filesOf pkgs).system) [
      native
      cross
    ];
    expected = [
      "x86_64-linux"
      "x86_64-linux"
    ];
  };
}
