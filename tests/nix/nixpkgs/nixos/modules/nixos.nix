# What every NixOS of the stand-in has.
{
  config,
  lib,
  extendModules,
  ...
}:
let
  inherit (lib) mkOption types;
  inherit (config.nixpkgs) pkgs;
  option = type: default: mkOption { inherit type default; };
in
{
  options = {
    boot.loader = {
      timeout = option types.int 5;
      grub = {
        enable = option types.bool true;
        device = option types.str "";
        devices = option (types.listOf types.str) [ ];
        efiSupport = option types.bool false;
      };
      systemd-boot.enable = option types.bool false;
    };
    environment.systemPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
    };
    fileSystems = option (types.lazyAttrsOf types.raw) { };
    image.modules = mkOption {
      type = types.lazyAttrsOf types.raw;
      default = { };
    };
    networking.hostName = mkOption {
      type = types.str;
      default = "nixos";
    };
    nixpkgs = {
      hostPlatform = mkOption { type = types.str; };
      buildPlatform = mkOption {
        type = types.str;
        default = config.nixpkgs.hostPlatform;
      };
      overlays = mkOption {
        type = types.listOf types.raw;
        default = [ ];
      };
      pkgs = mkOption { type = types.raw; };
    };
    services.openssh.enable = mkOption {
      type = types.bool;
      default = false;
    };
    system.build = mkOption {
      type = types.lazyAttrsOf types.raw;
      default = { };
    };
    system.nixos = {
      version = option types.str "26.05.test";
      versionSuffix = option types.str ".test";
    };
    system.stateVersion = mkOption { type = types.str; };
    systemd.services = mkOption {
      type = types.lazyAttrsOf types.raw;
      default = { };
    };
    users.users = mkOption {
      type = types.lazyAttrsOf types.raw;
      default = { };
    };
  };

  config = {
    # Every module's argument `pkgs`.
    _module.args.pkgs = pkgs;
    nixpkgs.pkgs = import ../.. {
      system = config.nixpkgs.buildPlatform;
      crossSystem = config.nixpkgs.hostPlatform;
      inherit (config.nixpkgs) overlays;
    };

    system.build = {
      # It changes with what boots.
      toplevel = import ../../system.nix {
        inherit (pkgs) runCommand;
        system = config.nixpkgs.hostPlatform;
        inherit (config.system.nixos) version;
        environment.services = builtins.toJSON config.systemd.services;
      };
      images = builtins.mapAttrs (
        _name: module: (extendModules { modules = [ module ]; }).config.system.build.image
      ) config.image.modules;
    };
  };
}
