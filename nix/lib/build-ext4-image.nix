# The derivation of an ext4 image. Its arguments are those of build-image.nix, and those of the
# filesystem, which stand here.
context:
# string: the function's name, for errors.
function:
let
  present = import ./present.nix;
  buildImage = import ./build-image.nix context;

  filesystem =
    {
      # string: the label of the filesystem, at most 16 bytes.
      volumeLabel,
      # string: the UUID of the filesystem.
      uuid ? "44444444-4444-4444-8888-888888888888",
      # string: the UUID that seeds the hashes of directories; null is derived from `uuid`.
      hashSeed ? null,
      # "default", "modern", "legacy-uboot" or a list of ext4's features.
      profile ? "default",
      # int: bytes of the whole image; null is the least that will do.
      size ? null,
      # int: bytes that are left free at least.
      freeBytes ? 16 * 1024 * 1024,
      # int: inodes that are left free at least.
      freeInodes ? 1024,
      # int: hundredths of the blocks that only root may take.
      reservedPercent ? 5,
      # int: bytes of disk for each inode; there are more inodes if the content needs more.
      inodeRatio ? 16384,
      # int: bytes of the journal; null is mke2fs' for the image's size, at least 16 MiB.
      journalSize ? null,
      # int: bytes of the largest disk that the filesystem may grow to.
      growTo ? 4 * 1024 * 1024 * 1024 * 1024,
      # bool: whether blocks of zeros in files of 1 MiB and more become holes.
      sparse ? false,
      # bool: whether to read the image again and compare every store path with its hash.
      selfCheck ? false,

      # Taken for nixpkgs' sake, and unused.
      lib ? null,
      zstd ? null,
      e2fsprogs ? null,
      libfaketime ? null,
      perl ? null,
      fakeroot ? null,
      lkl ? null,
      ...
    }:
    {
      inherit selfCheck;
      ext4 = present {
        label = volumeLabel;
        inherit
          uuid
          hashSeed
          profile
          size
          freeBytes
          freeInodes
          reservedPercent
          inodeRatio
          journalSize
          growTo
          sparse
          ;
      };
    };
in
arguments:
buildImage
  {
    inherit function;
    request = filesystem arguments;
  }
  # It refuses what is left and is not its own.
  (removeAttrs arguments (builtins.attrNames (builtins.functionArgs filesystem)))
