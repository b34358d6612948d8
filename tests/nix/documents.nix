# What the expressions in the documents name, on a stand-in nixpkgs with what it takes of the machine:
# tests/it/documents/expressions.rs builds each in this scope.
{
  # path: a copy of ./nixpkgs with a directory `machine`.
  nixpkgs,
}:
let
  pkgs =
    import nixpkgs { overlays = [ (import ../../nix/overlay.nix) ]; }
    // {
      ubootOrangePiZero2 = uboot;
    };
  nix2image = pkgs.nix2imageLib;

  nixosOf =
    modules:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      modules = [
        {
          nixpkgs.hostPlatform = builtins.currentSystem;
          system.stateVersion = "25.11";
        }
      ]
      ++ modules;
    };
  # A module of nixpkgs.
  own = path: toString nixpkgs + "/nixos/${path}";

  withDisk = (nixosOf [ (own "modules/virtualisation/disk-image.nix") ]).config;
  config = withDisk // {
    boot = withDisk.boot // {
      loader = withDisk.boot.loader // {
        # It would be a program, with these as its options.
        generic-extlinux-compatible.populateCmd = "mkdir -p ./files/boot && echo populated";
      };
    };
    environment = withDisk.environment // {
      binsh = "${shell}/bin/sh";
    };
  };
  toplevel = config.system.build.toplevel;

  shell = pkgs.runCommand "shell" { } ''
    mkdir -p "$out/bin"
    cp "$(readlink "$PWD/bin/sh")" "$out/bin/sh"
  '';
  uboot = pkgs.runCommand "uboot" { } ''
    mkdir "$out"
    echo boot loader >"$out/u-boot-sunxi-with-spl.bin"
  '';
  core =
    (import ../../nix/lib/grub-images.nix {
      inherit pkgs;
      reason = "documents";
      label = "nixos";
      directory = "/boot/grub";
    }).bios.core;
in
{
  inherit
    config
    core
    nix2image
    nixosOf
    pkgs
    toplevel
    uboot
    ;
  inherit (pkgs) lib;
  # What boots, where a document says so.
  system = toplevel;
  nixos = nixosOf [ (own "maintainers/scripts/ec2/amazon-image.nix") ];
  inputs.nix2image = {
    lib.${builtins.currentSystem} = nix2image;
    nixosModules = builtins.mapAttrs (_name: module: { imports = [ module ]; }) nix2image.modules;
  };
  sdImage = own "modules/installer/sd-card/sd-image-aarch64.nix";

  grub = pkgs.grub2;
  kernel = pkgs.runCommand "linux" { } ''
    mkdir "$out"
    echo kernel >"$out/Image"
  '';
  configTxt = builtins.toFile "config.txt" "arm_64bit=1\n";
  motd = builtins.toFile "motd" "Made by nix2image.\n";

  # A disk of the attributes that docs/attributes.md has.
  diskOf =
    attributes:
    derivation {
      name = "disk";
      system = builtins.currentSystem;
      builder = "${pkgs.nix2image}/bin/nix2image";
      __structuredAttrs = true;
      exportReferencesGraph.closure = [ toplevel ];
      nix2image = {
        version = 1;
        kind = "disk";
        graphs = [ "closure" ];
      }
      // attributes;
    };
}
