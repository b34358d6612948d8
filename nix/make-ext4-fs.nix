# makeExt4Fs: an ext4 image that holds the closure of some store paths.
#
# Stands in for nixpkgs' `nixos/lib/make-ext4-fs.nix` and takes all of its arguments; see
# docs/make-ext4-fs.md. `$out` is the image file itself.
context:
import ./lib/make-callable.nix context {
  attribute = "makeExt4Fs";

  # Those of nixpkgs' function.
  formals = {
    pkgs = true;
    lib = true;
    storePaths = false;
    compressImage = true;
    populateImageCommands = true;
    volumeLabel = false;
    uuid = true;
    zstd = true;
    e2fsprogs = true;
    libfaketime = true;
    perl = true;
    fakeroot = true;
    lkl = true;
  };

  function =
    {
      # list of derivations or store paths: their closure stands in the image; may be empty.
      storePaths,
      # string: the label of the filesystem, at most 16 bytes.
      volumeLabel,
      # string: the UUID of the filesystem.
      uuid ? "44444444-4444-4444-8888-888888888888",
      # bool: whether to compress the image with zstd.
      compressImage ? false,
      # string: shell commands that fill `./files`, whose content stands in the root directory.
      # Needs `pkgs`.
      populateImageCommands ? "",

      # string: the name of the result; `.zst` is appended when it is compressed.
      name ? "ext4-fs.img",
      # list of { source; target; unpack ?; mode ?; uid ?; gid ?; mtime ?; xattrs ?; }: what stands
      # in the image beside the closure.
      contents ? [ ],
      # bool: whether `/nix-path-registration` stands in the image.
      registration ? true,
      # int: the time of everything in the image, in seconds since 1970.
      time ? 1,
      # int: zstd's level, 1 to 19; null is the binary's default.
      compressionLevel ? null,
      # "file" or "directory": whether the image is `$out` itself or a file in the directory `$out`,
      # beside its `nix-path-registration`.
      output ? "file",
      # string: the name of the image in the directory; null is the name of the result.
      imageName ? null,
      # bool: whether to read the image again and compare every store path with its hash.
      selfCheck ? false,
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
      # bool: whether the image, though it holds store paths, keeps none of them alive.
      unsafeDiscardReferences ? import ./lib/discards-references.nix builtins.nixVersion,

      # attribute set: the nixpkgs that runs `populateImageCommands`.
      pkgs ? context.pkgs,

      # Taken for nixpkgs' sake, and unused.
      lib ? null,
      zstd ? null,
      e2fsprogs ? null,
      libfaketime ? null,
      perl ? null,
      fakeroot ? null,
      lkl ? null,
    }:
    let
      present = import ./lib/present.nix;

      fileName = if compressImage then "${name}.zst" else name;

      populated =
        if populateImageCommands == "" then
          [ ]
        else
          [
            (import ./lib/populate.nix {
              inherit pkgs time;
              name = "${name}-files.tar";
              commands = populateImageCommands;
              argument = "makeExt4Fs: populateImageCommands";
            })
          ];
    in
    import ./lib/build-image.nix context {
      name = fileName;
      inherit pkgs storePaths unsafeDiscardReferences;
      function = "makeExt4Fs";
      request = present {
        contents = populated ++ import ./lib/contents.nix "makeExt4Fs" contents;
        inherit
          registration
          time
          output
          selfCheck
          ;
        imageName = if output == "directory" && imageName == null then fileName else imageName;
        compression = if compressImage then "zstd" else "none";
        compressionLevel = if compressImage then compressionLevel else null;
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
    };
}
