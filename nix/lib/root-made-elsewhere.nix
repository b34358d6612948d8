# The plain file of a root filesystem that the user has or makes, or null where there is none: the
# arguments `rootFilesystemImage` and `rootFilesystemCreator` of makeSdImage.
{
  # string: the function's name, for errors.
  function,
  # attribute set: all arguments of the root as they were given: those that say nothing to a
  # filesystem that is not ours are refused.
  arguments,
  # The arguments, with their defaults.
  pkgs,
  storePaths,
  populateRootCommands,
  rootVolumeLabel,
  rootPartitionUUID,
  rootFilesystemImage,
  rootFilesystemCreator,
  rootFilesystemCompressed,
}:
let
  chosen = if rootFilesystemImage != null then "rootFilesystemImage" else "rootFilesystemCreator";

  # What is not about the filesystem, and what the creator is told.
  allowed = [
    "imageName"
    "pkgs"
    "preBuildCommands"
    "rootFilesystemCompressed"
    "unsafeDiscardReferences"
    chosen
  ]
  ++ (
    if chosen == "rootFilesystemImage" then
      [ ]
    else
      [
        "populateRootCommands"
        "rootPartitionUUID"
        "rootVolumeLabel"
        "storePaths"
      ]
  );
  unused = builtins.attrNames (import ./present.nix (removeAttrs arguments allowed));

  created =
    if pkgs == null then
      throw "nix2image: ${function}: rootFilesystemCreator is called by the callPackage of a nixpkgs: give `pkgs` to the function or to `import ./nix`"
    else
      pkgs.callPackage rootFilesystemCreator (
        {
          inherit storePaths;
          compressImage = false;
          populateImageCommands = populateRootCommands;
          volumeLabel = rootVolumeLabel;
        }
        // import ./present.nix { uuid = rootPartitionUUID; }
      );

  image =
    if rootFilesystemImage == null then
      created
    else
      import ./as-input.nix "${function}: rootFilesystemImage" rootFilesystemImage;

  compressed =
    if rootFilesystemCompressed == null then
      builtins.match ".*\\.zst" "${image}" != null
    else
      rootFilesystemCompressed;

  unpacked = import ./run-shell.nix {
    inherit pkgs;
    name = "root-fs.img";
    tools = packages: [ packages.zstd ];
    reason = "${function}: ${chosen} is compressed";
    instead = "one that is not";
    commands = ''
      zstd --decompress --quiet "${image}" -o "$out"
    '';
  };
in
if rootFilesystemImage == null && rootFilesystemCreator == null then
  null
else if unused != [ ] then
  throw "nix2image: ${function}: ${builtins.head unused} is not used, for ${chosen} gives the root filesystem; leave out one of the two"
else if compressed then
  unpacked
else
  image
