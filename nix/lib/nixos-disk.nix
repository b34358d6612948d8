# The disk of a NixOS, from the arguments of nixpkgs' make-disk-image.nix.
context:
{
  # string: the function's name, for errors.
  function,
  # string: the page of docs that has its arguments.
  page,
  # null or { bios; efi; } of bools: how GRUB boots, whatever the configuration says.
  grubBoots ? null,
  # function: from the image's format, as "vpc", to `outputFiles` of build-disk.nix.
  outputFilesOf ? _: [ ],
  # function: from the image's format to the line in nix-support/hydra-build-products.
  productOf ? format: "file ${format}-image @image@",
}:
let
  buildDisk = import ./build-disk.nix context function;
  ext4 = import ./ext4.nix;
  lowerHex = import ./lower-hex.nix;
  withReport = import ./with-report.nix;
  tables = import ./disk-tables.nix;

  mebibyte = 1024 * 1024;
  wholeMebibytes = bytes: (bytes + mebibyte - 1) / mebibyte * mebibyte;
  sizeOf = argument: import ./size.nix "${function}: ${argument}";
  refused = message: throw "nix2image: ${function}: ${message}";

  formats = import ./disk-formats.nix;

  # Arguments that go on to build-disk.nix and to ext4.nix as they are.
  further = {
    disk = [
      "binaryCaches"
      "compressionLevel"
      "deduplicate"
      "exports"
      "report"
      "selfCheck"
      "textGraphs"
      "time"
      "verify"
    ];
    ext4 = [
      "freeInodes"
      "growTo"
      "inodeRatio"
      "journalSize"
      "profile"
      "reservedPercent"
      "sparse"
    ];
  };
  selected =
    names: attrs:
    builtins.intersectAttrs (builtins.listToAttrs (
      map (name: {
        inherit name;
        value = null;
      }) names
    )) attrs;

  make =
    {
      # attribute set: a configuration of NixOS, as `nixos.config`; null is an image without a
      # system.
      config ? null,
      # "auto", int (MiB) or string: the size of the disk. "auto" is the least that will do, and
      # `additionalSpace`.
      diskSize ? "auto",
      # string: what is left free in the root where the size is "auto".
      additionalSpace ? "512M",
      # string: where the boot partition ends.
      bootSize ? "256M",
      # list of { source; target; mode ?; user ?; group ?; }: what stands in the root beside the
      # closure.
      contents ? [ ],
      # "legacy", "legacy+boot", "legacy+gpt", "efi", "efixbootldr", "hybrid" or "none".
      partitionTableType ? "legacy",
      # bool: whether the boot loader of the configuration is on the disk.
      installBootLoader ? config != null && !onlyNixStore,
      # string: the label of the root filesystem, at most 16 bytes.
      label ? if onlyNixStore then "nix-store" else "nixos",
      # path: the file that is /etc/nixos/configuration.nix.
      configFile ? null,
      # string: shell commands that see the image as `$diskImage`. Needs `pkgs`; slower.
      postVM ? "",
      # bool: whether the root is the content of the store, and nothing else.
      onlyNixStore ? false,
      # string: the name of the result.
      name ? "nixos-disk-image",
      # string: the name of the image, before ".img", ".qcow2" or ".vhd".
      baseName ? "nixos",
      # "raw", "qcow2", "qcow2-compressed" or "vpc".
      format ? "raw",
      # string: the GUID of the root partition.
      rootGPUID ? "F222513B-DED1-49FA-B591-20CE86A2FE7F",
      # string: the UUID of the root filesystem; null is rootGPUID.
      rootFSUID ? null,
      # string: the UUID that seeds the hashes of its directories; null is derived from rootFSUID.
      rootFSHashSeed ? null,
      # bool: whether nixpkgs' sources are the channel of root. Needs `pkgs`.
      copyChannel ? config != null,
      # list of derivations or store paths: what else the closure holds.
      additionalPaths ? [ ],
      # bool: whether to compress a raw image with zstd.
      compressImage ? false,
      # bool: whether the image, though it holds store paths, keeps none of them alive.
      unsafeDiscardReferences ? import ./discards-references.nix builtins.nixVersion,
      # attribute set: the nixpkgs of the configuration. Its build platform makes the image, where
      # `system` was not given to `import ./nix`.
      pkgs ? context.pkgs,

      # Of what there is one value only.
      fsType ? "ext4",
      touchEFIVars ? false,

      # Taken for nixpkgs' sake, and unused: no VM runs, and the image is always the same.
      lib ? null,
      memSize ? null,
      OVMF ? null,
      efiFirmware ? null,
      efiVariables ? null,
      deterministic ? true,
      reproducible ? true,
      populateRootWith ? null,
      ...
    }@arguments:
    let
      unknown = builtins.attrNames (
        removeAttrs arguments (
          builtins.attrNames (builtins.functionArgs make) ++ further.disk ++ further.ext4
        )
      );

      container =
        formats.${format}
          or (refused "format \"${format}\" is not written here; there are ${toString (builtins.attrNames formats)}, and `qemu-img convert -O ${format}` makes it of one of them");
      imageName = "${baseName}.${container.extension}${if compressImage then ".zst" else ""}";

      table =
        tables.${partitionTableType}
          or (refused "partitionTableType \"${partitionTableType}\" is unknown; there are ${toString (builtins.attrNames tables)}")
        // {
          name = "partitionTableType \"${partitionTableType}\"";
        };
      labels = {
        root = label;
        esp = "ESP";
        boot = "BOOT";
      };

      rootGuid = lowerHex rootGPUID;
      rootUuid = if rootFSUID == null then rootGuid else lowerHex rootFSUID;

      # Bytes of the disk; null is as many as it takes.
      size =
        if diskSize == "auto" then
          null
        else if builtins.isInt diskSize then
          diskSize * mebibyte
        else if builtins.match "[0-9]+" diskSize != null then
          sizeOf "diskSize" "${diskSize}M"
        else
          wholeMebibytes (sizeOf "diskSize" diskSize);
      bootEnd = wholeMebibytes (sizeOf "bootSize" bootSize);

      toplevel =
        if config == null then
          null
        else
          config.system.build.toplevel
            or (refused "config has no system.build.toplevel; give the `config` of a NixOS");
      channel =
        if copyChannel then
          import ./channel.nix {
            inherit pkgs;
            config = if config == null then { } else config;
            argument = "${function}: copyChannel";
          }
        else
          null;
      present = builtins.filter (path: path != null);

      boot =
        if installBootLoader then
          import ./installed-boot.nix {
            inherit
              function
              config
              pkgs
              table
              labels
              grubBoots
              rootUuid
              ;
            rootGuid = if disk.table == "gpt" then rootGuid else null;
            system = "${toplevel}";
          }
        else
          {
            root = { };
            esp = { };
            boot = { };
            grub = null;
          };

      fat = place: volumeId: {
        fat = {
          label = labels.${place};
          inherit volumeId;
          contents = boot.${place}.contents or [ ];
          bootFiles = boot.${place}.bootFiles or [ ];
        };
      };
      disk =
        table.disk {
          inherit bootEnd rootGuid;
          rootSize = if size == null then null else "rest";
          places = {
            esp = fat "esp" "0x1c06f03b";
            boot = fat "boot" "0x970c694f";
            root.ext4 = ext4 (
              {
                volumeLabel = label;
                uuid = rootUuid;
                hashSeed = rootFSHashSeed;
                freeBytes = if size == null then sizeOf "additionalSpace" additionalSpace else 0;
              }
              // selected further.ext4 arguments
            );
          };
        }
        // {
          inherit size;
          inherit (boot) grub;
        };

      closure =
        if onlyNixStore then
          {
            storePaths = present [
              toplevel
              channel
            ];
            root = null;
          }
        else
          {
            storePaths = [ ];
            root =
              if config == null then
                null
              else
                {
                  system = toplevel;
                  inherit channel;
                  shell = config.environment.binsh or null;
                };
          };

      filesOfRoot =
        import ./disk-contents.nix {
          inherit function;
          config = if config == null then { } else config;
        } contents
        ++ (
          if configFile == null then
            [ ]
          else
            [
              {
                source = configFile;
                target = "/etc/nixos/configuration.nix";
              }
            ]
        )
        ++ (boot.root.contents or [ ]);

      product = productOf container.name;
      image =
        outputFiles:
        buildDisk (
          {
            inherit
              name
              imageName
              outputFiles
              compressImage
              unsafeDiscardReferences
              pkgs
              disk
              ;
            inherit (container) container;
            inherit (closure) root;
            storePaths = closure.storePaths ++ additionalPaths;
            contents = filesOfRoot;
            bootFiles = boot.root.bootFiles or [ ];
            onlyStore = onlyNixStore;
            # The database is there already, and first boots that load a registration need not.
            registration = false;
          }
          // selected further.disk arguments
        );
      result =
        if postVM == "" then
          image (
            [
              {
                name = "nix-support/hydra-build-products";
                text = "${product}\n";
              }
            ]
            ++ outputFilesOf container.name
          )
        else
          withReport (image [ ]) (
            import ./after-disk.nix {
              inherit pkgs imageName;
              disk = image [ ];
              products = product;
              commands = postVM;
              argument = "${function}: postVM";
              discardReferences = unsafeDiscardReferences;
            }
          );
    in
    if unknown != [ ] then
      refused "${builtins.head unknown} is unknown; docs/${page} has all arguments"
    else if fsType != "ext4" then
      refused "fsType is \"${fsType}\", and only \"ext4\" is made here; use nixpkgs' make-disk-image.nix for another"
    else if touchEFIVars then
      refused "touchEFIVars wants the variables of a firmware, and no VM runs here; the image boots without them, and the first nixos-rebuild sets them with boot.loader.efi.canTouchEfiVariables = true"
    else if onlyNixStore && (contents != [ ] || configFile != null || installBootLoader) then
      refused "onlyNixStore leaves no place for contents, configFile and installBootLoader; leave them out"
    else if installBootLoader && config == null then
      refused "installBootLoader wants a `config` whose boot loader it is; give one, or installBootLoader = false"
    else if compressImage && container.container != "raw" then
      refused "compressImage is for format \"raw\"; use \"qcow2-compressed\", or leave it out"
    else if table.bootStart != null && bootEnd <= table.bootStart then
      refused "bootSize is where the boot partition ends, and with ${table.name} it begins at ${toString (table.bootStart / mebibyte)} MiB; give more than ${toString (table.bootStart / mebibyte)}M"
    else
      result;
in
make
