# The root of an SD image.
#
# It is part of the derivation of the disk, unless something else than the binary has a hand in it:
# then it is made by itself, and the disk takes it as a file.
context:
# string: the function's name, for errors.
function:
let
  ext4 = import ./ext4.nix;
  buildImage = import ./build-image.nix context;

  # Arguments of the filesystem that have the same name here.
  ext4Arguments = removeAttrs (builtins.functionArgs ext4) [
    "volumeLabel"
    "uuid"
  ];

  rootOf =
    {
      # derivation or store path: the system that boots; short for `root.system`.
      system ? null,
      # null or { system ?; channel ?; shell ?; database ?; }: what stands in the root of a NixOS.
      root ? if system == null then null else { inherit system; },
      # list of derivations or store paths: their closure stands in the root.
      storePaths ? [ ],
      # bool or "empty": whether `/nix-path-registration` stands in the root; "empty" is a file that
      # holds nothing, which nixpkgs' first boot takes as its sign to grow the root.
      registration ? if root != null && root.database or true then "empty" else true,
      # list of attribute sets: what stands in the root beside the closure.
      contents ? [ ],
      # list of attribute sets: what boot loaders need in the root (docs/attributes.md).
      bootFiles ? [ ],
      # string: shell commands that fill `./files`, whose content stands in the root directory.
      # Needs `pkgs`.
      populateRootCommands ? "",
      # string: the label of the root filesystem, at most 16 bytes.
      rootVolumeLabel ? "NIXOS_SD",
      # string: the UUID of the root filesystem; null is the one of makeExt4Fs.
      rootPartitionUUID ? null,
      # int: the time of everything in the root, in seconds since 1970.
      time ? 1,
      # bool: whether to read the root again and compare every store path with its hash.
      selfCheck ? false,

      # derivation or path: the root filesystem, made elsewhere.
      rootFilesystemImage ? null,
      # function or path: what makes it, called as nixpkgs' make-ext4-fs.nix is. Needs `pkgs`.
      rootFilesystemCreator ? null,
      # bool: whether it is compressed with zstd; null looks for `.zst` at the end of its name.
      rootFilesystemCompressed ? null,
      # string: shell commands that edit the root filesystem, the file `$root_fs`. Needs `pkgs`;
      # slower.
      preBuildCommands ? "",

      # Of the whole image.
      imageName,
      unsafeDiscardReferences,
      pkgs,
      ...
    }@arguments:
    let
      elsewhere = import ./root-made-elsewhere.nix {
        inherit
          function
          arguments
          pkgs
          storePaths
          populateRootCommands
          rootVolumeLabel
          rootPartitionUUID
          rootFilesystemImage
          rootFilesystemCreator
          rootFilesystemCompressed
          ;
      };

      filesystem = ext4 (
        builtins.intersectAttrs ext4Arguments arguments
        // {
          volumeLabel = rootVolumeLabel;
        }
        // import ./present.nix { uuid = rootPartitionUUID; }
      );

      populated =
        if populateRootCommands == "" then
          [ ]
        else
          [
            (import ./populate.nix {
              inherit pkgs time;
              name = "${imageName}-files.tar";
              commands = populateRootCommands;
              argument = "${function}: populateRootCommands";
            })
          ];

      # What nixpkgs' first boot looks for before it grows the root, with nothing in it to load.
      sign =
        if registration == "empty" then
          [
            {
              source = builtins.toFile "nix-path-registration" "";
              target = "/nix-path-registration";
              mode = "0644";
            }
          ]
        else
          [ ];

      # What build-image.nix is told of the tree. It refuses what is left and is not its own.
      tree =
        removeAttrs arguments (builtins.attrNames (builtins.functionArgs rootOf // ext4Arguments))
        // {
          inherit
            storePaths
            time
            pkgs
            unsafeDiscardReferences
            ;
          root = checkedRoot;
          registration =
            if registration == "empty" || builtins.isBool registration then
              registration == true
            else
              throw "nix2image: ${function}: registration is ${builtins.toJSON registration}; it is true, false or \"empty\"";
          contents = populated ++ import ./contents.nix "${function}: contents" contents ++ sign;
        };
      checkedRoot =
        if system != null && arguments ? root then
          throw "nix2image: ${function}: system and root are both given; system is short for root.system"
        else
          root;

      image =
        if elsewhere != null then
          elsewhere
        else
          buildImage {
            inherit function;
            request = {
              inherit selfCheck;
              ext4 = filesystem;
            }
            // (
              if bootFiles == [ ] then
                { }
              else
                { bootFiles = import ./boot-files.nix "${function}: bootFiles" bootFiles; }
            );
          } (tree // { name = "${imageName}-root.img"; });

      edited = import ./run-shell.nix {
        inherit pkgs;
        discardReferences = unsafeDiscardReferences;
        name = "${imageName}-edited-root.img";
        tools = import ./sd-tools.nix;
        reason = "${function}: preBuildCommands is shell text";
        instead = "`contents`, which needs none";
        commands = ''
          root_fs=$PWD/root-fs.img
          cp --sparse=always --no-preserve=mode "${image}" "$root_fs"

          ${preBuildCommands}

          mv "$root_fs" "$out"
        '';
      };
    in
    if elsewhere == null && preBuildCommands == "" then
      {
        content.ext4 = filesystem;
        arguments = tree // {
          inherit bootFiles selfCheck;
        };
      }
    else
      {
        content.file = if preBuildCommands == "" then image else edited;
        arguments.registration = false;
      };
in
rootOf
