# makeAmazonImage: a disk for Amazon EC2, with what tools want to know to upload it.
#
# Stands in for nixpkgs' `nixos/maintainers/scripts/ec2/amazon-image.nix`; see
# docs/make-amazon-image.md. `$out` is a directory with the image and `nix-support`.
context:
let
  attribute = "makeAmazonImage";
  nixosDisk = import ./lib/nixos-disk.nix context;
  refused = message: throw "nix2image: ${attribute}: ${message}";

  # How an image boots: the partition table, how GRUB is started, and what EC2 calls it.
  boots = {
    bios = {
      partitionTableType = "legacy+gpt";
      grubBoots = {
        bios = true;
        efi = false;
      };
      mode = "legacy-bios";
    };
    uefi = {
      partitionTableType = "efi";
      grubBoots = {
        bios = false;
        efi = true;
      };
      mode = "uefi";
    };
    hybrid = {
      partitionTableType = "hybrid";
      grubBoots = {
        bios = true;
        efi = true;
      };
      mode = "uefi-preferred";
    };
  };

  # What EC2 calls a format; nixpkgs' name for it.
  formats = {
    raw = "RAW";
    vpc = "VHD";
  };

  # The configuration that nixos-rebuild begins with on the instance, as nixpkgs writes it.
  configFileOf =
    efi:
    builtins.toFile "configuration.nix" ''
      { modulesPath, ... }:
      {
        imports = [ "''${modulesPath}/virtualisation/amazon-image.nix" ];
      ${if efi then "  ec2.efi = true;\n" else ""}}
    '';

  # What is decided here.
  fixed = [
    "compressImage"
    "label"
    "onlyNixStore"
    "partitionTableType"
    "postVM"
  ];

  hostSystemOf =
    config: pkgs:
    import ./lib/host-system.nix {
      function = attribute;
      inherit config pkgs;
    };

  make =
    {
      # attribute set: a configuration of NixOS with nixpkgs' amazon-image.nix, as `nixos.config`.
      config,
      # "bios", "uefi" or "hybrid" (both).
      boot ? if config.ec2.efi or (hostSystemOf config pkgs == "aarch64-linux") then "uefi" else "bios",
      # "vpc" (VHD, dynamic) or "raw".
      format ? config.amazonImage.format or "vpc",
      # int (MiB), "auto" or string: the size of the disk.
      diskSize ? config.virtualisation.diskSize or (4 * 1024),
      # int: the same in MiB, by its older name.
      sizeMB ? diskSize,
      # string: the name of the result, and of the image before ".vhd" or ".img".
      name ? config.image.baseName or "nixos-amazon-image-${version}-${hostSystemOf config pkgs}",
      # list of { source; target; mode ?; user ?; group ?; }: what stands in the root beside the
      # closure.
      contents ? config.amazonImage.contents or [ ],
      # path: the file that is /etc/nixos/configuration.nix.
      configFile ? configFileOf (boot != "bios"),
      # string: the version of NixOS: `label` in image-info.json.
      version ? config.system.nixos.version or config.system.nixos.label or "unknown",
      # attribute set: more of what EC2 is to be told when the image is registered.
      registerImage ? config.amazonImage.registerImage or null,
      # attribute set: the nixpkgs of the configuration.
      pkgs ? context.pkgs,
      ...
    }@arguments:
    let
      hostSystem = hostSystemOf config pkgs;
      decided = builtins.filter (name: arguments ? ${name}) fixed;

      way =
        boots.${boot}
          or (refused "boot is \"${toString boot}\"; it is one of ${toString (builtins.attrNames boots)}");

      imageInfo =
        {
          label = version;
          boot_mode = way.mode;
          system = hostSystem;
          logical_bytes = "@imageBytes@";
          file = "@image@";
          disks.root = {
            logical_bytes = "@imageBytes@";
            file = "@image@";
          };
          format = formats.${format};
        }
        // (if registerImage == null then { } else { inherit registerImage; });

      disk =
        nixosDisk
          {
            function = attribute;
            page = "make-amazon-image.md";
            inherit (way) grubBoots;
            productOf = format: "file ${format} @image@";
            outputFilesOf = _: [
              {
                name = "nix-support/image-info.json";
                text = builtins.toJSON imageInfo + "\n";
              }
            ];
          }
          (
            removeAttrs arguments [
              "boot"
              "registerImage"
              "sizeMB"
              "version"
            ]
            // {
              inherit
                contents
                configFile
                format
                name
                pkgs
                ;
              inherit (way) partitionTableType;
              baseName = arguments.baseName or name;
              diskSize = sizeMB;
            }
          );
    in
    if decided != [ ] then
      refused "${builtins.head decided} is no argument here; use makeDiskImage, whose argument it is"
    else if !(formats ? ${format}) then
      refused "format \"${format}\" is none that EC2 imports; use ${toString (builtins.attrNames formats)}, or makeDiskImage for another"
    else if config.ec2.zfs.enable or false then
      refused "ec2.zfs.enable wants ZFS, and only ext4 is made here; set it to false, or use nixpkgs' image"
    else if hostSystem != "x86_64-linux" && boot != "uefi" then
      refused "boot is \"${boot}\", and ${hostSystem} has no BIOS; use \"uefi\""
    else
      disk;
in
import ./lib/make-callable.nix context {
  inherit attribute;

  # `pkgs.config` is that of nixpkgs: callPackage is not to fill our `config`.
  formals = {
    pkgs = true;
    lib = true;
  };

  function = make;
}
