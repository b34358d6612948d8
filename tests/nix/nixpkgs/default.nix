# A stand-in for nixpkgs, where there is no network: what our functions, their tests and the flake
# touch, and no more. Packages are stubs, except that `runCommand` runs, in the sandbox, with the
# shell and the tools of the machine.
#
# In a copy with a directory `machine` (tests/it/support/offered.rs) these are taken from there, in
# pure evaluation too, and so is what the packages hold that images are made with.
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

  machine = if builtins.pathExists ./machine then ./machine else null;
  machineSystem = if machine == null then null else builtins.readFile (machine + "/system");

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
          if build == (if machine == null then builtins.currentSystem or null else machineSystem) then
            import ./run-command.nix {
              system = build;
              inherit busybox machine;
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
          real "${arguments.pname}-${arguments.version}" ''
            mkdir -p "$out/bin"
            cp ${machine + "/nix2image"} "$out/bin/nix2image"
            ${arguments.postInstall}
          ''
          // {
            inherit (arguments) meta postInstall src;
          };

        mkShell = _: stub "nix-shell";
        writeText = name: _text: stub name;
        path =
          if machine == null then
            ./.
          else
            builtins.path {
              name = "nixpkgs";
              path = ./.;
              filter = path: _type: baseNameOf path != "machine";
            };

        hello = real "hello" ''
          mkdir -p "$out/bin"
          echo "Hello, world!" >"$out/bin/hello"
        '';
        dosfstools = stub "dosfstools";
        e2fsprogs = stub "e2fsprogs";
        cargo = stub "cargo";
        cargo-deny = stub "cargo-deny";
        clippy = stub "clippy";
        grub2 = grub "grub";
        grub2_efi = grub "grub-efi";
        libfaketime = stub "libfaketime";
        mtools = stub "mtools";
        nixfmt-tree = stub "nixfmt-tree";
        rustc = stub "rustc";
        rustfmt = stub "rustfmt";
        systemd = real "systemd" ''
          mkdir -p "$out/lib/systemd/boot"
          cp -R ${machine + "/systemd-boot"} "$out/lib/systemd/boot/efi"
        '';
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

      # A stub, or, where there is a machine, what these commands make.
      isReal = machine != null && build == machineSystem;
      real = name: commands: if isReal then final.runCommand name { } commands else stub name;
      grub =
        name:
        if isReal then
          import ./grub.nix {
            inherit machine;
            inherit (final) runCommand;
            system = build;
          }
        else
          stub name;

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
