# The modules `disk-image` and `amazon-image`, in a NixOS with nixpkgs' own.
{
  nixpkgs ? ./nixpkgs,
  system ? "x86_64-linux",
  ...
}:
let
  own = path: "${toString nixpkgs}/nixos/${path}";
  diskOwn = own "modules/virtualisation/disk-image.nix";
  amazonOwn = own "maintainers/scripts/ec2/amazon-image.nix";
  inherit
    ((import ../../nix {
      builder = ./failures.nix;
      inherit system;
    }).modules
    )
    amazon-image
    disk-image
    ;

  lib = import "${toString nixpkgs}/lib${if builtins.pathExists "${toString nixpkgs}/lib" then "" else ".nix"}";

  nixos =
    modules:
    (import (own "lib/eval-config.nix") {
      system = null;
      modules = [
        {
          nixpkgs.hostPlatform = "x86_64-linux";
          system.stateVersion = "25.11";
        }
      ]
      ++ modules;
    }).config;

  diskOf =
    modules:
    nixos (
      [
        diskOwn
        disk-image
      ]
      ++ modules
    );
  amazonOf =
    modules:
    nixos (
      [
        amazonOwn
        amazon-image
      ]
      ++ modules
    );

  typesOf = image: map (partition: partition.type) image.nix2image.disk.partitions;
  infoOf =
    image:
    builtins.fromJSON
      (builtins.head (
        builtins.filter (file: file.name == "nix-support/image-info.json") image.nix2image.outputFiles
      )).text;
in
import ./failures.nix {
  "a disk, with the options of nixpkgs" = {
    expr =
      map
        (
          modules:
          let
            configuration = diskOf modules;
            inherit (configuration.system.build) image;
          in
          {
            inherit (image.nix2image) container;
            named = image.nix2image.imageName == configuration.image.filePath;
            types = typesOf image;
            size = image.nix2image.disk.size or null;
            system = image.nix2image.root.system == "${configuration.system.build.toplevel}";
            channel = image.nix2image.root ? channel;
          }
        )
        [
          [ ]
          [
            {
              image.format = "raw";
              image.efiSupport = false;
              virtualisation.diskSize = 2048;
              nix2image.diskImage.copyChannel = false;
            }
          ]
        ];
    expected = [
      {
        container = "qcow2";
        named = true;
        types = [
          "esp"
          "linux"
        ];
        size = null;
        system = true;
        channel = true;
      }
      {
        container = "raw";
        named = true;
        types = [ "linux" ];
        size = 2147483648;
        system = true;
        channel = false;
      }
    ];
  };

  "the functions may be given" = {
    expr =
      (diskOf [
        {
          nix2image.functions = import ../../nix {
            builder = ./failures.nix;
            inherit system;
          };
        }
      ]).system.build.image.builder == "${
        builtins.path {
          name = "nix2image";
          path = ./failures.nix;
        }
      }";
    expected = true;
  };

  "an image for EC2, with the options of nixpkgs" = {
    expr =
      map
        (
          modules:
          let
            configuration = amazonOf modules;
            inherit (configuration.system.build) amazonImage image;
          in
          {
            inherit (infoOf amazonImage) boot_mode system format;
            named = amazonImage.nix2image.imageName;
            path = configuration.image.filePath;
            types = typesOf amazonImage;
            inherit (amazonImage.nix2image.disk) size;
            follows = image.drvPath == amazonImage.drvPath;
          }
        )
        [
          [ { image.baseName = "nixos-amazon"; } ]
          [
            {
              image.baseName = "arm";
              nixpkgs.hostPlatform = lib.mkForce "aarch64-linux";
              amazonImage.format = "raw";
              virtualisation.diskSize = 2048;
            }
          ]
          [
            {
              image.baseName = "both";
              ec2.efi = true;
              nix2image.amazonImage.boot = "hybrid";
            }
          ]
        ];
    expected = [
      {
        boot_mode = "legacy-bios";
        system = "x86_64-linux";
        format = "VHD";
        named = "nixos-amazon.vhd";
        path = "nixos-amazon.vhd";
        types = [
          "bios-boot"
          "linux"
        ];
        size = 4294967296;
        follows = true;
      }
      {
        boot_mode = "uefi";
        system = "aarch64-linux";
        format = "RAW";
        named = "arm.img";
        path = "arm.img";
        types = [
          "esp"
          "linux"
        ];
        size = 2147483648;
        follows = true;
      }
      {
        boot_mode = "uefi-preferred";
        system = "x86_64-linux";
        format = "VHD";
        named = "both.vhd";
        path = "both.vhd";
        types = [
          "esp"
          "bios-boot"
          "linux"
        ];
        size = 4294967296;
        follows = true;
      }
    ];
  };

  "variants follow, and the configuration itself has no image" = {
    expr =
      let
        configuration = nixos [
          disk-image
          amazon-image
          {
            image.modules = {
              qemu-efi = diskOwn;
              amazon = amazonOwn;
            };
          }
        ];
        inherit (configuration.system.build) images;
      in
      {
        alone = configuration.system.build ? image || configuration.system.build ? amazonImage;
        qemu = typesOf images.qemu-efi;
        amazon = typesOf images.amazon;
      };
    expected = {
      alone = false;
      qemu = [
        "esp"
        "linux"
      ];
      amazon = [
        "bios-boot"
        "linux"
      ];
    };
  };

  "nothing of the system changes" = {
    expr =
      map
        (configurations: (builtins.head configurations).system.build.toplevel.drvPath == (builtins.elemAt configurations 1).system.build.toplevel.drvPath)
        [
          [
            (nixos [ diskOwn ])
            (diskOf [ ])
          ]
          [
            (nixos [ amazonOwn ])
            (amazonOf [ ])
          ]
        ];
    expected = [
      true
      true
    ];
  };
}
