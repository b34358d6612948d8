# The derivation of a disk: `$out` is a directory with the image in it, and with the files of
# `outputFiles`. Its arguments are those of build-image.nix (the closure, `root`, `contents` and
# what else the one ext4 partition holds), and those that stand here.
#
#   import ./build-disk.nix context "makeDiskImage" {
#     name = "nixos-disk-image";
#     imageName = "nixos.img";
#     root.system = toplevel;
#     disk = {
#       table = "mbr";
#       id = "0x2178694e";
#       partitions = [
#         {
#           type = "linux";
#           content.ext4 = import ./ext4.nix { volumeLabel = "nixos"; };
#         }
#       ];
#     };
#   }
context:
# string: the function's name, for errors.
function:
let
  buildImage = import ./build-image.nix context;
  present = import ./present.nix;

  own =
    {
      # attribute set: the table, the partitions and what is in them (docs/attributes.md). `null`
      # is the default, wherever there is one.
      disk,
      # "raw", "qcow2", "qcow2-compressed", "vhd-fixed" or "vhd-dynamic": what the disk is wrapped
      # in.
      container ? "raw",
      # bool: whether to compress a raw disk with zstd. `imageName` says so by itself.
      compressImage ? false,
      # int: zstd's level, 1 to 19; null is the binary's default.
      compressionLevel ? null,
      # string: the image in `$out`, as "nixos.img" or "sd-image/nixos.img.zst".
      imageName,
      # list of { name; text; }: files in `$out` beside the image. @out@, @image@ and @imageBytes@
      # in a text are `$out`, the path of the image and the bytes of the disk.
      outputFiles ? [ ],
      # list of attribute sets: what boot loaders need in the ext4 partition (docs/attributes.md).
      bootFiles ? [ ],
      # bool: whether the ext4 partition holds the store paths at its root, and nothing else.
      onlyStore ? false,
      # bool: whether to read the image again and compare every store path with its hash.
      selfCheck ? false,
      ...
    }:
    present {
      kind = "disk";
      output = "directory";
      disk = import ./disk.nix function disk;
      # A closure, be it empty, wants a partition to stand in.
      graphs =
        if builtins.any (partition: partition.content.ext4 or null != null) (disk.partitions or [ ]) then
          [ "closure" ]
        else
          [ ];
      bootFiles = import ./boot-files.nix "${function}: bootFiles" bootFiles;
      compression = if compressImage then "zstd" else "none";
      compressionLevel = if compressImage then compressionLevel else null;
      inherit
        container
        imageName
        outputFiles
        onlyStore
        selfCheck
        ;
    };
in
arguments:
buildImage
  {
    inherit function;
    request = own arguments;
  }
  (
    { storePaths = [ ]; }
    // (if arguments.onlyStore or false then { registration = false; } else { })
    # It refuses what is left and is not its own.
    // removeAttrs arguments (builtins.attrNames (builtins.functionArgs own))
  )
