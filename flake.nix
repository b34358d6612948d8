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
      examples = import ./examples {
        inherit nixpkgs;
        nix2image = self;
      };
    in
    {
      packages = forAllSystems (
        system: pkgs:
        rec {
          nix2image = pkgs.pkgsStatic.callPackage ./nix/package.nix { };
          default = nix2image;
        }
        // examples.images.${system}
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
      nixosModules = builtins.mapAttrs (_name: module: { imports = [ module ]; }) {
        amazon-image = ./nix/modules/amazon-image.nix;
        disk-image = ./nix/modules/disk-image.nix;
        sd-image = ./nix/modules/sd-image.nix;
        tools = ./nix/modules/tools.nix;
      };

      nixosConfigurations = examples.configurations;

      checks = forAllSystems (
        system: pkgs:
        import ./nix/checks.nix {
          inherit nixpkgs pkgs;
          package = self.packages.${system}.nix2image;
          functions = self.lib.${system};
        }
      );

      hydraJobs = import ./nix/hydra-jobs.nix {
        inherit (self) checks;
        inherit (examples) images;
      };

      templates = {
        default = {
          path = ./nix/templates/ext4;
          description = "An ext4 image of a package and its closure";
        };
        sd-card = {
          path = ./nix/templates/sd-card;
          description = "An SD card that boots NixOS";
        };
        ec2 = {
          path = ./nix/templates/ec2;
          description = "A disk image of NixOS for Amazon EC2";
        };
      };

      devShells = forAllSystems (_: pkgs: { default = pkgs.callPackage ./nix/dev-shell.nix { }; });

      formatter = forAllSystems (_: pkgs: pkgs.nixfmt-tree);
    };
}
