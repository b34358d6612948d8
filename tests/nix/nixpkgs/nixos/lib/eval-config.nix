# A NixOS of the stand-in: the options that our modules and examples touch, and no more.
{
  # null: the modules say it, by nixpkgs.hostPlatform.
  system ? null,
  modules,
}:
let
  lib = import ../../lib.nix;

  given = if system == null then { } else { nixpkgs.hostPlatform = lib.mkDefault system; };

  evaluated = lib.evalModules {
    modules = [
      ../modules/nixos.nix
      given
    ]
    ++ modules;
    specialArgs = {
      # A string, as nixpkgs': "${modulesPath}/.." is in the same tree.
      modulesPath = toString ../modules;
    };
  };
in
evaluated // { inherit (evaluated.config.nixpkgs) pkgs; }
