# The partition tables of nixpkgs' make-disk-image.nix by name: their partitions, and what boot
# loaders find in them.
#
# `boot` is the place of /boot: a partition of its own, or the root. Each place is what stands in a
# partition: the attribute set `content` of one.
let
  mebibyte = 1024 * 1024;
  gap = mebibyte;

  # The GUIDs that nixpkgs fixes: of the disk (one digit short there), and of the first partitions
  # but for the root, which has its own.
  diskGuid = "97fd5997-d90b-4aa3-8d16-c1723aea73c0";
  firstGuid = "1c06f03b-704e-4657-b9cd-681a087a2fdc";
  secondGuid = "970c694f-afd0-4b99-b750-cdb7a329ab6f";

  # From where to where, in bytes.
  between = start: end: {
    inherit start;
    size = end - start;
  };
  esp =
    end:
    {
      places,
      bootEnd,
      ...
    }:
    between (8 * mebibyte) (if end == null then bootEnd else end)
    // {
      name = "ESP";
      type = "esp";
      guid = firstGuid;
      content = places.esp;
    };
  biosBoot = {
    name = "no-fs";
    type = "bios-boot";
  };
  root =
    start: name:
    {
      places,
      rootSize,
      rootGuid,
      ...
    }:
    {
      inherit name start;
      type = "linux";
      guid = rootGuid;
      size = rootSize;
      content = places.root;
    };
  withoutGuid = partition: removeAttrs partition [ "guid" ];

  gpt = partitions: {
    table = "gpt";
    guid = diskGuid;
    inherit partitions;
  };
  mbr =
    { rootGuid, ... }:
    partitions: {
      table = "mbr";
      id = "0x${builtins.substring 0 8 rootGuid}";
      partitions = map withoutGuid partitions;
    };
in
# `bios`: whether there is room for GRUB's image; `esp`: whether there is an EFI system partition;
# `boot`: where /boot is; `bootStart`: where a partition begins that ends at bootSize; `disk`: from
# { places; bootEnd; rootSize; rootGuid; } to the binary's `disk`.
{
  none = {
    bios = false;
    esp = false;
    boot = "root";
    bootStart = null;
    disk = arguments: {
      table = "none";
      partitions = [
        {
          inherit (root 0 "root" arguments) name size content;
        }
      ];
    };
  };

  legacy = {
    bios = true;
    esp = false;
    boot = "root";
    bootStart = null;
    disk = arguments: mbr arguments [ (root gap "root" arguments) ];
  };

  "legacy+boot" = {
    bios = true;
    esp = false;
    boot = "boot";
    bootStart = gap;
    disk =
      { places, bootEnd, ... }@arguments:
      mbr arguments [
        (
          between gap bootEnd
          // {
            name = "boot";
            type = "fat32";
            bootable = true;
            content = places.boot;
          }
        )
        (root bootEnd "root" arguments)
      ];
  };

  "legacy+gpt" = {
    bios = true;
    esp = false;
    boot = "root";
    bootStart = null;
    disk =
      arguments:
      gpt [
        (biosBoot // between gap (2 * mebibyte) // { guid = firstGuid; })
        (root (2 * mebibyte) "primary" arguments)
      ];
  };

  efi = {
    bios = false;
    esp = true;
    boot = "esp";
    bootStart = 8 * mebibyte;
    disk =
      { bootEnd, ... }@arguments:
      gpt [
        (esp null arguments)
        (root bootEnd "primary" arguments)
      ];
  };

  efixbootldr = {
    bios = false;
    esp = true;
    boot = "boot";
    bootStart = 100 * mebibyte;
    disk =
      { places, bootEnd, ... }@arguments:
      gpt [
        (esp (100 * mebibyte) arguments)
        (
          between (100 * mebibyte) bootEnd
          // {
            name = "BOOT";
            type = "xbootldr";
            guid = secondGuid;
            content = places.boot;
          }
        )
        (root bootEnd "ROOT" arguments)
      ];
  };

  hybrid = {
    bios = true;
    esp = true;
    boot = "esp";
    bootStart = 8 * mebibyte;
    disk =
      { bootEnd, ... }@arguments:
      gpt [
        (esp null arguments)
        # From the first sector behind the table.
        (biosBoot // between (34 * 512) mebibyte // { guid = secondGuid; })
        (root bootEnd "primary" arguments)
      ];
  };
}
