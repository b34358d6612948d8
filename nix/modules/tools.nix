# A NixOS module: the programs of nix2image in the system, as nixpkgs' tools.nix has its own; see
# docs/modules.md.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.nix2image;

  # The binary looks at the name that it is called by.
  calledAs =
    name:
    pkgs.runCommand name { meta.mainProgram = name; } ''
      mkdir -p "$out/bin"
      ln -s ${cfg.package}/bin/nix2image "$out/bin/${name}"
    '';

  nixos-prepare-root = calledAs "nixos-prepare-root";
  nixos-install = calledAs "nixos-install";
in
{
  options.nix2image = {
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.nix2image or (pkgs.pkgsStatic.callPackage ../package.nix { });
      defaultText = lib.literalExpression "pkgs.nix2image, or the package of the checkout";
      description = "The nix2image whose programs are in the system.";
    };

    replaceInstaller = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = ''
        Whether `nixos-install` in the system's path is nix2image's. It comes before that of
        nixpkgs, which need not be disabled.
      '';
    };
  };

  config = lib.mkMerge [
    {
      environment.systemPackages = [
        cfg.package
        nixos-prepare-root
      ];
      system.build = {
        nix2image = cfg.package;
        inherit nixos-prepare-root;
      };
    }
    (lib.mkIf cfg.replaceInstaller {
      environment.systemPackages = [ (lib.hiPrio nixos-install) ];
      # Behind nixpkgs' own: its functions for disk images call that in builds, without the powers
      # of root and with options that ours has not.
      system.build.nixos-install = lib.mkDefault nixos-install;
    })
  ];
}
