# makeSdImage: an SD card that boots: a FAT partition for firmware, and the root behind it.
#
# Stands in for nixpkgs' `nixos/modules/installer/sd-card/sd-image.nix`, whose options are its
# arguments; see docs/make-sd-image.md. `$out/sd-image/NAME.img.zst` is the image. What the root is
# made of stands in lib/sd-root.nix.
context:
let
  attribute = "makeSdImage";
  buildDisk = import ./lib/build-disk.nix context attribute;
  rootOf = import ./lib/sd-root.nix context attribute;
  withReport = import ./lib/with-report.nix;

  mebibyte = 1024 * 1024;

  # Arguments of other functions of ours, and what they are here.
  elsewhere =
    builtins.mapAttrs (_name: ours: "here it is ${ours}") {
      name = "imageName";
      populateImageCommands = "populateRootCommands";
      uuid = "rootPartitionUUID";
      volumeLabel = "rootVolumeLabel";
    }
    // builtins.listToAttrs (
      map
        (name: {
          inherit name;
          value = "an SD image is a raw disk with this table: makeDiskImage makes others";
        })
        [
          "container"
          "disk"
          "onlyStore"
          "output"
          "outputFiles"
        ]
    );
  checkNames =
    arguments:
    let
      unknown = builtins.attrNames (builtins.intersectAttrs elsewhere arguments);
      name = builtins.head unknown;
    in
    if unknown == [ ] then
      arguments
    else
      throw "nix2image: ${attribute}: ${name} is unknown; ${elsewhere.${name}}";

  make =
    {
      # int: MiB before the firmware partition.
      firmwarePartitionOffset ? 8,
      # int: MiB of the firmware partition.
      firmwareSize ? 30,
      # string: the id of the disk, and of the firmware filesystem: "0x" and 8 hex digits.
      firmwarePartitionID ? "0x2178694e",
      # string: the label of the firmware filesystem, at most 11 bytes.
      firmwarePartitionName ? "FIRMWARE",
      # list of attribute sets: what stands in the firmware partition, as `contents` in the root.
      firmwareContents ? [ ],
      # string: shell commands that fill `./firmware`, whose content stands in the firmware
      # partition. Needs `pkgs`.
      populateFirmwareCommands ? "",
      # list of { source; offset; }: files at byte offsets of the disk, as a boot loader before the
      # first partition.
      raw ? [ ],
      # string: shell commands that edit the disk, the file `$img`. Needs `pkgs`; slower.
      postBuildCommands ? "",

      # string: the name of the image, before `.zst`.
      imageName ? "nixos-sd-image.img",
      # bool: whether to compress the image with zstd.
      compressImage ? true,
      # int: zstd's level, 1 to 19; null is the binary's default.
      compressionLevel ? null,
      # bool: whether there is a second output, `report`, that tells what is in the image and why
      # (docs/report.md).
      report ? false,
      # bool: whether the image, though it holds store paths, keeps none of them alive.
      unsafeDiscardReferences ? import ./lib/discards-references.nix builtins.nixVersion,
      # attribute set: the nixpkgs that runs shell commands, and names the build platform where
      # `system` was not given to `import ./nix`.
      pkgs ? context.pkgs,

      # Of nixpkgs' module, for the booted system alone: taken, and unused.
      expandOnBoot ? null,
      nixPathRegistrationFile ? null,
      ...
    }@arguments:
    let
      common = {
        inherit pkgs unsafeDiscardReferences;
      };
      root = rootOf (
        removeAttrs arguments (builtins.attrNames (builtins.functionArgs make))
        // common
        // {
          inherit imageName;
        }
      );

      firmware =
        (
          if populateFirmwareCommands == "" then
            [ ]
          else
            [
              (import ./lib/populate.nix {
                inherit pkgs;
                name = "${imageName}-firmware.tar";
                commands = populateFirmwareCommands;
                directory = "firmware";
                tools = import ./lib/sd-tools.nix;
                followLinks = true;
                # FAT has one fixed time for all.
                time = 1;
                argument = "${attribute}: populateFirmwareCommands";
                instead = "`firmwareContents`, which needs none";
              })
            ]
        )
        ++ import ./lib/contents.nix "${attribute}: firmwareContents" firmwareContents;

      disk = {
        table = "mbr";
        id = firmwarePartitionID;
        partitions = [
          {
            name = "firmware";
            type = "0x0b";
            start = firmwarePartitionOffset * mebibyte;
            size = firmwareSize * mebibyte;
            content.fat = {
              label = firmwarePartitionName;
              volumeId = firmwarePartitionID;
              contents = firmware;
            };
          }
          {
            name = "root";
            type = "linux";
            # Where U-Boot looks for extlinux.conf.
            bootable = true;
            inherit (root) content;
          }
        ];
        inherit raw;
      };

      fileName = if compressImage then "${imageName}.zst" else imageName;
      system = import ./lib/build-system.nix context.system pkgs;

      # For `postBuildCommands`.
      plain = buildDisk (
        root.arguments
        // common
        // {
          inherit disk imageName report;
          name = imageName;
        }
      );
    in
    if postBuildCommands == "" then
      buildDisk (
        root.arguments
        // common
        // {
          inherit
            disk
            compressImage
            compressionLevel
            report
            ;
          name = fileName;
          imageName = "sd-image/${fileName}";
          outputFiles = [
            {
              name = "nix-support/hydra-build-products";
              text = "file sd-image @image@\n";
            }
            {
              name = "nix-support/system";
              text = "${system}\n";
            }
          ];
        }
      )
    else
      withReport plain (
        import ./lib/edit-sd-image.nix {
          inherit
            pkgs
            system
            imageName
            fileName
            compressImage
            compressionLevel
            ;
          discardReferences = unsafeDiscardReferences;
          commands = postBuildCommands;
          argument = "${attribute}: postBuildCommands";
          disk = plain;
        }
      );
in
import ./lib/make-callable.nix context {
  inherit attribute;

  # `pkgs.system` is a string such as "x86_64-linux": callPackage is not to fill our `system`.
  formals.pkgs = true;

  function = arguments: make (checkNames arguments);
}
