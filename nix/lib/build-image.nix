# The derivation of an image: the static binary is its builder, and gets its request as structured
# attributes (docs/attributes.md). What every kind of image takes stands here.
context:
{
  # string: the function's name, for errors.
  function,
  # attribute set: what the binary is to know of this kind of image. It wins over what stands here.
  request,
}:
{
  # list of derivations or store paths: their closure stands in the image; may be empty.
  storePaths,
  # list of paths: files in the old text form of `exportReferencesGraph`.
  textGraphs ? [ ],
  # list of paths: files that `nix-store --export` wrote, plain or compressed with zstd.
  exports ? [ ],
  # list of { cache; paths; }: the closures of some store paths, from binary caches in directories.
  binaryCaches ? [ ],
  # bool: whether store paths are hashed while they are copied, and compared with what Nix says.
  verify ? false,
  # bool: whether equal files of store paths become hard links, as `nix-store --optimise` makes them.
  deduplicate ? false,

  # null or { system ?; channel ?; shell ?; database ?; }: what stands in the root of a NixOS.
  root ? null,
  # list of { source; target; unpack ?; glob ?; mode ?; recursiveMode ?; uid ?; gid ?; mtime ?;
  # xattrs ?; }: what stands in the image beside the closure.
  contents ? [ ],
  # string: shell commands that fill `./files`, whose content stands in the root directory.
  # Needs `pkgs`.
  populateImageCommands ? "",
  # bool: whether `/nix-path-registration` stands in the image.
  registration ? true,
  # int: the time of everything in the image, in seconds since 1970.
  time ? 1,

  # string: the name of the result; `.zst` is appended when it is compressed.
  name,
  # bool: whether to compress the image with zstd.
  compressImage ? false,
  # int: zstd's level, 1 to 19; null is the binary's default.
  compressionLevel ? null,
  # "file" or "directory": whether the image is `$out` itself or a file in the directory `$out`,
  # beside its `nix-path-registration`.
  output ? "file",
  # string: the name of the image in the directory; null is the name of the result.
  imageName ? null,
  # bool: whether there is a second output, `report`, that tells what is in the image and why
  # (docs/report.md).
  report ? false,
  # bool: whether the image, though it holds store paths, keeps none of them alive.
  unsafeDiscardReferences ? import ./discards-references.nix builtins.nixVersion,

  # attribute set: the nixpkgs that runs `populateImageCommands`, and names the build platform where
  # `system` was not given.
  pkgs ? context.pkgs,
}:
let
  asInputs =
    argument: import ./each.nix "${function}: ${argument}" (where: import ./as-input.nix where);

  # What names store paths keeps them alive: the report only where Nix cannot be told otherwise.
  discardReferences =
    (if unsafeDiscardReferences then { out = true; } else { })
    // (
      if report && import ./discards-references.nix builtins.nixVersion then
        { report = true; }
      else
        { }
    );

  fileName = if compressImage then "${name}.zst" else name;

  rooted = import ./root.nix function root;

  populated =
    if populateImageCommands == "" then
      [ ]
    else
      [
        (import ./populate.nix {
          inherit pkgs time;
          name = "${name}-files.tar";
          commands = populateImageCommands;
          argument = "${function}: populateImageCommands";
        })
      ];
in
derivation (
  {
    name = fileName;
    inherit (context) builder;
    system = import ./build-system.nix context.system pkgs;
    outputs = [ "out" ] ++ (if report then [ "report" ] else [ ]);
    __structuredAttrs = true;

    exportReferencesGraph.closure = asInputs "storePaths" storePaths ++ rooted.storePaths;
    nix2image =
      import ./present.nix {
        version = 1;
        graphs = [ "closure" ];
        textGraphs = asInputs "textGraphs" textGraphs;
        exports = asInputs "exports" exports;
        binaryCaches = import ./binary-caches.nix function binaryCaches;
        inherit (rooted) root;
        contents = populated ++ import ./contents.nix "${function}: contents" contents;
        inherit
          verify
          deduplicate
          registration
          time
          output
          ;
        imageName = if output == "directory" && imageName == null then fileName else imageName;
        compression = if compressImage then "zstd" else "none";
        compressionLevel = if compressImage then compressionLevel else null;
        # Older binaries need not know of it.
        report = if report then true else null;
      }
      // request;

    # The closure is here already, and an image is large to send.
    preferLocalBuild = true;
  }
  // (if discardReferences == { } then { } else { unsafeDiscardReferences = discardReferences; })
)
