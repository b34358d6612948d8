# attribute set -> attribute set: the arguments of an ext4 filesystem, as the binary's `ext4`.
let
  present = import ./present.nix;
in
{
  # string: the label of the filesystem, at most 16 bytes.
  volumeLabel,
  # string: the UUID of the filesystem.
  uuid ? "44444444-4444-4444-8888-888888888888",
  # string: the UUID that seeds the hashes of directories; null is derived from `uuid`.
  hashSeed ? null,
  # "default", "modern", "legacy-uboot" or a list of ext4's features.
  profile ? "default",
  # int: bytes of the whole filesystem; null is the least that will do.
  size ? null,
  # int: bytes that are left free at least.
  freeBytes ? 16 * 1024 * 1024,
  # int: inodes that are left free at least.
  freeInodes ? 1024,
  # int: hundredths of the blocks that only root may take.
  reservedPercent ? 5,
  # int: bytes of disk for each inode; there are more inodes if the content needs more.
  inodeRatio ? 16384,
  # int: bytes of the journal; null is mke2fs' for the filesystem's size, at least 16 MiB.
  journalSize ? null,
  # int: bytes of the largest disk that the filesystem may grow to.
  growTo ? 4 * 1024 * 1024 * 1024 * 1024,
  # bool: whether blocks of zeros in files of 1 MiB and more become holes.
  sparse ? false,
}:
present {
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
}
