# The module `sd-image`, in a NixOS with nixpkgs' own.
{
  nixpkgs ? ./nixpkgs,
  system ? "x86_64-linux",
  ...
}:
let
  nixpkgsOwn = "${toString nixpkgs}/nixos/modules/installer/sd-card/sd-image-aarch64.nix";
  inherit
    ((import ../../nix {
      builder = ./failures.nix;
      inherit system;
    }).modules
    )
    sd-image
    ;

  nixos =
    modules:
    (import "${toString nixpkgs}/nixos/lib/eval-config.nix" {
      system = null;
      modules = [
        {
          nixpkgs.hostPlatform = "aarch64-linux";
          system.stateVersion = "25.11";
        }
      ]
      ++ modules;
    }).config;
  configurationOf =
    modules:
    nixos (
      [
        nixpkgsOwn
        sd-image
      ]
      ++ modules
    );

  plain = nixos [ nixpkgsOwn ];
  default = configurationOf [ ];
  imageOf = modules: (configurationOf modules).system.build.sdImage;
  requestOf = modules: (imageOf modules).nix2image;
  partitionsOf = modules: (requestOf modules).disk.partitions;
  firmwareOf = modules: builtins.elemAt (partitionsOf modules) 0;
  rootOf = modules: builtins.elemAt (partitionsOf modules) 1;
  nixpkgsOn = builtins.listToAttrs (
    map (system: {
      name = system;
      value = import nixpkgs { inherit system; };
    }) [ "aarch64-linux" "x86_64-linux" ]
  );
  inherit (nixpkgsOn.${system}) hello;
in
import ./failures.nix {
  "the image is made by the static binary of the build platform" = {
    expr =
      map
        (
          modules:
          let
            configuration = configurationOf modules;
            inherit (configuration.system.build) sdImage;
          in
          {
            inherit (sdImage) name system;
            builder =
              sdImage.builder
              == "${
                nixpkgsOn.${sdImage.system}.pkgsStatic.callPackage ../../nix/package.nix { }
              }/bin/nix2image";
          }
        )
        [
          [ ]
          [ { nixpkgs.buildPlatform = "x86_64-linux"; } ]
        ];
    expected = map (system: {
      name = "${plain.image.baseName}.img.zst";
      inherit system;
      builder = true;
    }) [
      "aarch64-linux"
      "x86_64-linux"
    ];
  };

  "what follows nixpkgs' image follows ours" = {
    expr = {
      image = default.system.build.image.drvPath == default.system.build.sdImage.drvPath;
      inherit ((requestOf [ ])) imageName;
    };
    expected = {
      image = true;
      imageName = plain.image.filePath;
    };
  };

  "the options of nixpkgs count" = {
    expr = {
      defaults = {
        inherit ((requestOf [ ]).disk) id;
        inherit (firmwareOf [ ]) start size;
        inherit (rootOf [ ]) bootable;
        inherit ((rootOf [ ]).content.ext4) label uuid;
        fat = removeAttrs (firmwareOf [ ]).content.fat [ "contents" ];
      };
      set =
        let
          modules = [
            {
              sdImage = {
                firmwarePartitionOffset = 16;
                firmwarePartitionID = "0x00000001";
                firmwarePartitionName = "BOOT";
                firmwareSize = 64;
                rootPartitionUUID = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
                rootVolumeLabel = "ROOT";
                compressImage = false;
              };
            }
          ];
        in
        {
          inherit (requestOf modules) compression imageName;
          inherit ((requestOf modules).disk) id;
          inherit (firmwareOf modules) start size;
          inherit ((rootOf modules).content.ext4) label uuid;
          fat = removeAttrs (firmwareOf modules).content.fat [ "contents" ];
        };
    };
    expected = {
      defaults = {
        id = "0x2178694e";
        start = 8388608;
        size = 31457280;
        bootable = true;
        label = "NIXOS_SD";
        uuid = "44444444-4444-4444-8888-888888888888";
        fat = {
          label = "FIRMWARE";
          volumeId = "0x2178694e";
        };
      };
      set = {
        compression = "none";
        imageName = "sd-image/${plain.image.baseName}.img";
        id = "0x00000001";
        start = 16777216;
        size = 67108864;
        label = "ROOT";
        uuid = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
        fat = {
          label = "BOOT";
          volumeId = "0x00000001";
        };
      };
    };
  };

  "the commands that populate both partitions run, and become tar files" = {
    expr = {
      firmware = map (item: item.unpack or false) (firmwareOf [ ]).content.fat.contents;
      root = map (item: item.target) (requestOf [ ]).contents;
    };
    expected = {
      firmware = [ true ];
      root = [
        "/"
        "/nix-path-registration"
      ];
    };
  };

  # The first boot is nixpkgs' own: it has nothing to load, and grows the root.
  "the root owns its store, and the system that boots is the same without the module" = {
    expr = {
      root = (requestOf [ ]).root.system == "${default.system.build.toplevel}";
      inherit (requestOf [ ]) registration;
      system = default.system.build.toplevel.drvPath == plain.system.build.toplevel.drvPath;
    };
    expected = {
      root = true;
      registration = false;
      system = true;
    };
  };

  "another root filesystem is taken as it comes" = {
    expr =
      let
        rootFilesystemImage = derivation {
          name = "root.img";
          inherit system;
          builder = "/bin/false";
        };
        compressed = rootOf [ { sdImage = { inherit rootFilesystemImage; }; } ];
        plain = rootOf [
          {
            sdImage = {
              inherit rootFilesystemImage;
              compressImage = false;
            };
          }
        ];
      in
      {
        compressed = compressed.content ? file && compressed.content.file != "${rootFilesystemImage}";
        plain = plain.content == {
          file = "${rootFilesystemImage}";
        };
      };
    expected = {
      compressed = true;
      plain = true;
    };
  };

  "another creator is called as nixpkgs calls it" = {
    expr =
      let
        arguments = {
          sdImage.rootFilesystemCreator = ./creator.nix;
          sdImage.rootVolumeLabel = "BTRFS";
        };
        configuration = configurationOf [ arguments ];
      in
      (rootOf [ arguments ]).content.file == "${import ./creator.nix {
        inherit (configuration.sdImage) storePaths;
        compressImage = false;
        populateImageCommands = configuration.sdImage.populateRootCommands;
        volumeLabel = "BTRFS";
      }}";
    expected = true;
  };

  "hooks take the slower path to a result by the same name" = {
    expr =
      let
        image = imageOf [ { sdImage.postBuildCommands = "touch $out/hook"; } ];
        root = rootOf [ { sdImage.preBuildCommands = "truncate -s +1M $root_fs"; } ];
      in
      {
        inherit (image) name;
        binary = image ? nix2image;
        root = builtins.attrNames root.content;
      };
    expected = {
      name = "${plain.image.baseName}.img.zst";
      binary = false;
      root = [ "file" ];
    };
  };

  "more arguments of makeSdImage come first" = {
    expr =
      let
        modules = [
          {
            nix2image.sdImage = {
              populateFirmwareCommands = "";
              firmwareContents = [
                {
                  source = ./failures.nix;
                  target = "/config.txt";
                }
              ];
              freeBytes = 0;
            };
          }
        ];
      in
      {
        firmware = map (item: item.target) (firmwareOf modules).content.fat.contents;
        inherit ((rootOf modules).content.ext4) freeBytes;
      };
    expected = {
      firmware = [ "/config.txt" ];
      freeBytes = 0;
    };
  };

  "other functions may be chosen" = {
    expr =
      (imageOf [
        {
          nix2image.functions = import ../../nix {
            builder = "${hello}/bin/nix2image";
            inherit system;
          };
        }
      ]).builder == "${hello}/bin/nix2image";
    expected = true;
  };

  "where there is no SD image, the module does nothing but in variants that have one" = {
    expr =
      let
        configuration = nixos [
          sd-image
          { image.modules.card.imports = [ nixpkgsOwn ]; }
        ];
      in
      {
        here = configuration.system.build ? sdImage;
        variant = configuration.system.build.images.card.nix2image.kind;
      };
    expected = {
      here = false;
      variant = "disk";
    };
  };
}
