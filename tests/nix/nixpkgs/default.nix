# A stand-in for nixpkgs, where there is no network: what our functions, their tests and the flake
# touch, and no more. Packages are stubs, except that `runCommand` runs, in the sandbox, with the
# shell and the tools of the machine.
{
  system ? builtins.currentSystem,
  # A system, or a set with `system`, as nixpkgs has it.
  crossSystem ? null,
  overlays ? [ ],
  config ? { },
  # A static busybox, by its own name.
  busybox ? "/usr/bin/busybox",
}:
let
  lib = import ./lib.nix;

  # The package set that is built on one system to run on another.
  stage =
    {
      build,
      host,
      static ? false,
    }:
    let
      base = final: {
        inherit lib config;

        stdenv = {
          buildPlatform = {
            system = build;
            canExecute = platform: platform.system == build;
          };
          hostPlatform = {
            system = host;
            isStatic = static;
          };
        };
        # Those that would reach an argument of ours, if callPackage were let.
        inherit (final.stdenv.hostPlatform) system;
        time = final.hello;

        pkgs = final;
        callPackage = lib.callPackageWith final;
        buildPackages = stage {
          inherit build;
          host = build;
        };
        pkgsStatic = stage {
          inherit build host;
          static = true;
        };

        runCommand =
          # Pure evaluation may not look at the machine, and another one's is not here.
          if build == builtins.currentSystem or null then
            import ./run-command.nix {
              system = build;
              inherit busybox;
            }
          else
            name: environment: commands:
            derivation (
              removeAttrs environment [ "meta" ]
              // {
                inherit name commands;
                system = build;
                builder = "/bin/false";
              }
            );

        rustPlatform.buildRustPackage =
          arguments:
          stub "${arguments.pname}-${arguments.version}"
          // {
            inherit (arguments) meta postInstall src;
          };

        mkShell = _: stub "nix-shell";
        writeText = name: _text: stub name;
        path = ./.;

        hello = stub "hello";
        dosfstools = stub "dosfstools";
        e2fsprogs = stub "e2fsprogs";
        cargo = stub "cargo";
        cargo-deny = stub "cargo-deny";
        clippy = stub "clippy";
        grub2 = stub "grub";
        grub2_efi = stub "grub-efi";
        libfaketime = stub "libfaketime";
        mtools = stub "mtools";
        nixfmt-tree = stub "nixfmt-tree";
        rustc = stub "rustc";
        rustfmt = stub "rustfmt";
        systemd = stub "systemd";
        util-linux = stub "util-linux";
        zstd = stub "zstd";
      };

      # Never built: only its name, its system and its path are looked at.
      stub =
        name:
        derivation {
          inherit name;
          system = build;
          builder = "/bin/false";
          args = [
            host
            (if static then "static" else "dynamic")
          ];
        };

      extend =
        layer: overlay: final:
        let
          previous = layer final;
        in
        previous // overlay final previous;
      layers = builtins.foldl' extend base overlays;
      final = layers final;
    in
    final;
in
stage {
  build = system;
  host = if crossSystem == null then system else crossSystem.system or crossSystem;
}
