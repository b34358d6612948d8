{
  description = "Nix closures in, bootable disk images out";

  # There is no flake.lock in this repository: it is developed where no nixpkgs can be fetched, and
  # tested on the stand-in in tests/nix/nixpkgs. Your own flake locks what it takes from here;
  # `inputs.nix2image.inputs.nixpkgs.follows = "nixpkgs"` makes that your nixpkgs.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forAllSystems =
        f: nixpkgs.lib.genAttrs systems (system: f system nixpkgs.legacyPackages.${system});
    in
    {
      packages = forAllSystems (
        _: pkgs: rec {
          nix2image = pkgs.pkgsStatic.callPackage ./nix/package.nix { };
          default = nix2image;
        }
      );

      lib = forAllSystems (
        system: pkgs:
        import ./nix {
          builder = "${self.packages.${system}.nix2image}/bin/nix2image";
          inherit system pkgs;
        }
      );

      overlays.default = import ./nix/overlay.nix;

      # Older ones take no path for a module.
      nixosModules.tools.imports = [ ./nix/modules/tools.nix ];

      checks = forAllSystems (
        system: pkgs:
        import ./nix/checks.nix {
          inherit nixpkgs pkgs;
          package = self.packages.${system}.nix2image;
          functions = self.lib.${system};
        }
      );

      hydraJobs = import ./nix/hydra-jobs.nix { inherit (self) checks; };

      templates.default = {
        path = ./nix/template;
        description = "An ext4 image of a package and its closure";
      };

      devShells = forAllSystems (_: pkgs: { default = pkgs.callPackage ./nix/dev-shell.nix { }; });

      formatter = forAllSystems (_: pkgs: pkgs.nixfmt-tree);
    };
}
