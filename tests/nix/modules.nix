# The NixOS modules, among the options of NixOS that they set.
{
  nixpkgs ? ./nixpkgs,
  system ? "x86_64-linux",
  ...
}:
let
  pkgs = import nixpkgs { inherit system; };
  inherit (pkgs) lib;

  withOverlay = import nixpkgs {
    inherit system;
    overlays = [ (import ../../nix/overlay.nix) ];
  };

  inherit
    ((import ../../nix {
      builder = ./failures.nix;
      inherit system;
    }).modules
    )
    tools
    ;

  # What NixOS has.
  nixos = {
    options.environment.systemPackages = lib.mkOption {
      type = lib.types.listOf lib.types.package;
      default = [ ];
    };
    options.system.build = lib.mkOption {
      type = lib.types.lazyAttrsOf (lib.types.uniq lib.types.unspecified);
      default = { };
    };
  };
  # Its own installer.
  installer = {
    environment.systemPackages = [ pkgs.hello ];
    system.build.nixos-install = pkgs.hello;
  };

  configurationOf =
    pkgs: modules:
    (lib.evalModules {
      specialArgs = { inherit pkgs; };
      modules = [
        nixos
        tools
      ]
      ++ modules;
    }).config;
  default = configurationOf pkgs [ installer ];

  summary =
    configuration:
    map (package: {
      inherit (package) name;
      priority = package.meta.priority or null;
    }) configuration.environment.systemPackages;
  has = name: builtins.any (package: package.name == name);
in
import ./failures.nix {
  "the programs are in the system" = {
    expr = {
      packages = map (name: has name default.environment.systemPackages) [
        default.nix2image.package.name
        "nixos-prepare-root"
        "nixos-install"
        pkgs.hello.name
      ];
      built = map (name: builtins.isString default.system.build.${name}.drvPath) [
        "nix2image"
        "nixos-prepare-root"
        "nixos-install"
      ];
    };
    expected = {
      packages = [
        true
        true
        true
        true
      ];
      built = [
        true
        true
        true
      ];
    };
  };

  "the package is that of the overlay, else one of the same nixpkgs" = {
    expr = {
      overlay =
        (configurationOf withOverlay [ ]).nix2image.package.drvPath == withOverlay.nix2image.drvPath;
      none =
        default.nix2image.package.drvPath
        == (pkgs.pkgsStatic.callPackage ../../nix/package.nix { }).drvPath;
      chosen =
        (configurationOf pkgs [ { nix2image.package = pkgs.zstd; } ]).system.build.nix2image.drvPath
        == pkgs.zstd.drvPath;
    };
    expected = {
      overlay = true;
      none = true;
      chosen = true;
    };
  };

  "in the path, the installer comes before that of nixpkgs" = {
    expr = builtins.filter (package: package.name == "nixos-install") (summary default);
    expected = [
      {
        name = "nixos-install";
        priority = -10;
      }
    ];
  };

  "what nixpkgs builds disk images with stays its own" = {
    expr = map (modules: (configurationOf pkgs modules).system.build.nixos-install.name) [
      [ installer ]
      [ ]
    ];
    expected = [
      pkgs.hello.name
      "nixos-install"
    ];
  };

  "without replaceInstaller, the installer is nixpkgs' own" = {
    expr =
      let
        configuration = configurationOf pkgs [
          installer
          { nix2image.replaceInstaller = false; }
        ];
      in
      {
        build = configuration.system.build.nixos-install.name;
        inPath = has "nixos-install" configuration.environment.systemPackages;
        others = has "nixos-prepare-root" configuration.environment.systemPackages;
      };
    expected = {
      build = pkgs.hello.name;
      inPath = false;
      others = true;
    };
  };
}
