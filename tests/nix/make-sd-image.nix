# What an SD image's derivation is, and what the binary is told.
{
  nixpkgs ? ./nixpkgs,
  system ? "x86_64-linux",
  ...
}:
let
  pkgs = import nixpkgs { inherit system; };

  inherit
    (import ../../nix {
      builder = ./failures.nix;
      inherit system;
    })
    makeSdImage
    makeExt4Fs
    ;

  stub =
    name:
    derivation {
      inherit name system;
      builder = "/bin/false";
    };
  toplevel = stub "nixos-system";
  spl = stub "u-boot";

  requestOf = arguments: (makeSdImage arguments).nix2image;
  diskOf = arguments: (requestOf arguments).disk;
  firmwareOf = arguments: builtins.elemAt (diskOf arguments).partitions 0;
  rootOf = arguments: builtins.elemAt (diskOf arguments).partitions 1;
  bare = builtins.unsafeDiscardStringContext;
  inputsOf = string: builtins.attrNames (builtins.getContext string);
in
import ./failures.nix {
  "the least call is a card with an empty firmware partition" = {
    expr = requestOf { };
    expected = {
      version = 1;
      kind = "disk";
      graphs = [ "closure" ];
      textGraphs = [ ];
      exports = [ ];
      binaryCaches = [ ];
      verify = false;
      deduplicate = false;
      contents = [ ];
      bootFiles = [ ];
      onlyStore = false;
      registration = true;
      time = 1;
      output = "directory";
      imageName = "sd-image/nixos-sd-image.img.zst";
      compression = "zstd";
      container = "raw";
      selfCheck = false;
      disk = {
        table = "mbr";
        id = "0x2178694e";
        raw = [ ];
        partitions = [
          {
            name = "firmware";
            type = "0x0b";
            start = 8388608;
            size = 31457280;
            content.fat = {
              label = "FIRMWARE";
              volumeId = "0x2178694e";
              contents = [ ];
            };
          }
          {
            name = "root";
            type = "linux";
            bootable = true;
            content.ext4 = {
              label = "NIXOS_SD";
              uuid = "44444444-4444-4444-8888-888888888888";
              profile = "default";
              freeBytes = 16777216;
              freeInodes = 1024;
              reservedPercent = 5;
              inodeRatio = 16384;
              growTo = 4398046511104;
              sparse = false;
            };
          }
        ];
      };
      outputFiles = [
        {
          name = "nix-support/hydra-build-products";
          text = "file sd-image @image@\n";
        }
        {
          name = "nix-support/system";
          text = "${system}\n";
        }
      ];
    };
  };

  "the result is a derivation by the image's name" = {
    expr = map (arguments: (makeSdImage arguments).name) [
      { }
      { compressImage = false; }
      { imageName = "card.img"; }
      {
        imageName = "card.img";
        postBuildCommands = "true";
        inherit pkgs;
      }
    ];
    expected = [
      "nixos-sd-image.img.zst"
      "nixos-sd-image.img"
      "card.img.zst"
      "card.img.zst"
    ];
  };

  "nixpkgs' arguments, and those of the filesystem" = {
    expr =
      let
        arguments = {
          storePaths = [ toplevel ];
          firmwarePartitionOffset = 16;
          firmwarePartitionID = "0xdeadbeef";
          firmwarePartitionName = "BOOT";
          firmwareSize = 128;
          rootPartitionUUID = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
          rootVolumeLabel = "ROOT";
          compressImage = false;
          expandOnBoot = throw "expandOnBoot";
          nixPathRegistrationFile = throw "nixPathRegistrationFile";
          freeBytes = 0;
          profile = "legacy-uboot";
          selfCheck = true;
          verify = true;
          deduplicate = true;
          time = 7;
        };
        request = requestOf arguments;
      in
      {
        inherit (request)
          compression
          imageName
          selfCheck
          verify
          deduplicate
          time
          ;
        inherit (request.disk) id;
        inherit (firmwareOf arguments) start size;
        fat = removeAttrs (firmwareOf arguments).content.fat [ "contents" ];
        inherit ((rootOf arguments).content.ext4)
          label
          uuid
          freeBytes
          profile
          ;
        closure = (makeSdImage arguments).exportReferencesGraph.closure == [ "${toplevel}" ];
      };
    expected = {
      compression = "none";
      imageName = "sd-image/nixos-sd-image.img";
      selfCheck = true;
      verify = true;
      deduplicate = true;
      time = 7;
      id = "0xdeadbeef";
      start = 16777216;
      size = 134217728;
      fat = {
        label = "BOOT";
        volumeId = "0xdeadbeef";
      };
      label = "ROOT";
      uuid = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
      freeBytes = 0;
      profile = "legacy-uboot";
      closure = true;
    };
  };

  "a system owns its store, and leaves nixpkgs' first boot nothing to load" = {
    expr =
      let
        request = requestOf { system = toplevel; };
        sign = builtins.head request.contents;
      in
      {
        root = request.root.system == "${toplevel}";
        inherit (request) registration;
        inherit (sign) target mode;
        text = baseNameOf (bare sign.source) == baseNameOf (bare (builtins.toFile "nix-path-registration" ""));
      };
    expected = {
      root = true;
      registration = false;
      target = "/nix-path-registration";
      mode = "0644";
      text = true;
    };
  };

  "the registration is full where nothing else has it, and where it is asked for" = {
    expr =
      map
        (
          arguments:
          let
            request = requestOf arguments;
          in
          {
            inherit (request) registration;
            sign = request.contents != [ ];
          }
        )
        [
          { }
          {
            root = {
              system = toplevel;
              database = false;
            };
          }
          {
            system = toplevel;
            registration = true;
          }
          {
            system = toplevel;
            registration = false;
          }
          {
            root.system = toplevel;
          }
        ];
    expected = [
      {
        registration = true;
        sign = false;
      }
      {
        registration = true;
        sign = false;
      }
      {
        registration = true;
        sign = false;
      }
      {
        registration = false;
        sign = false;
      }
      {
        registration = false;
        sign = true;
      }
    ];
  };

  "what stands in the partitions, and before them, becomes an input" = {
    expr =
      let
        item = {
          source = spl;
          target = "/a";
        };
        arguments = {
          contents = [ item ];
          firmwareContents = [ item ];
          raw = [
            {
              source = "${spl}/spl.bin";
              offset = 8192;
            }
          ];
          system = toplevel;
          bootFiles = [
            {
              extlinux.system = toplevel;
              target = "/boot";
            }
          ];
        };
        request = requestOf arguments;
        first = builtins.head;
      in
      {
        inputs =
          map (item: inputsOf item.source == [ (bare spl.drvPath) ]) [
            (first request.contents)
            (first (firmwareOf arguments).content.fat.contents)
            (first request.disk.raw)
          ];
        inherit (first request.disk.raw) offset;
        boot = (first request.bootFiles).extlinux.system == "${toplevel}";
      };
    expected = {
      inputs = [
        true
        true
        true
      ];
      offset = 8192;
      boot = true;
    };
  };

  "commands become tar files, before what else there is" = {
    expr =
      let
        item = {
          source = spl;
          target = "/b";
        };
        arguments = {
          inherit pkgs;
          populateRootCommands = "touch files/a";
          populateFirmwareCommands = "touch firmware/a";
          contents = [ item ];
          firmwareContents = [ item ];
        };
        targets = map (item: "${item.target} ${if item.unpack or false then "tar" else "file"}");
      in
      {
        root = targets (requestOf arguments).contents;
        firmware = targets (firmwareOf arguments).content.fat.contents;
      };
    expected = {
      root = [
        "/ tar"
        "/b file"
      ];
      firmware = [
        "/ tar"
        "/b file"
      ];
    };
  };

  "preBuildCommands edit a root that is made by itself" = {
    expr =
      let
        arguments = {
          inherit pkgs;
          storePaths = [ spl ];
          system = toplevel;
          preBuildCommands = "touch $root_fs";
        };
        image = makeSdImage arguments;
        inherit (rootOf arguments) content;
      in
      {
        content = builtins.attrNames content;
        input = builtins.length (inputsOf content.file);
        inherit (image.exportReferencesGraph) closure;
        inherit (image.nix2image) contents registration imageName;
        root = image.nix2image ? root;
      };
    expected = {
      content = [ "file" ];
      input = 1;
      closure = [ ];
      contents = [ ];
      registration = false;
      imageName = "sd-image/nixos-sd-image.img.zst";
      root = false;
    };
  };

  "postBuildCommands edit a copy of a plain disk" = {
    expr = map (postBuildCommands: (makeSdImage { inherit pkgs postBuildCommands; }) ? nix2image) [
      ""
      "touch $img"
    ];
    expected = [
      true
      false
    ];
  };

  "a filesystem made elsewhere is taken as it is, or unpacked" = {
    expr =
      let
        image = stub "btrfs-fs.img";
        compressed = stub "btrfs-fs.img.zst";
        contentOf = arguments: (rootOf arguments).content;
      in
      {
        plain = contentOf { rootFilesystemImage = image; } == {
          file = "${image}";
        };
        compressed =
          map
            (
              arguments:
              let
                content = contentOf ({ inherit pkgs; } // arguments);
              in
              builtins.match ".*-root-fs.img" (bare content.file) != null
            )
            [
              { rootFilesystemImage = compressed; }
              {
                rootFilesystemImage = image;
                rootFilesystemCompressed = true;
              }
              {
                rootFilesystemImage = compressed;
                rootFilesystemCompressed = false;
              }
            ];
      };
    expected = {
      plain = true;
      compressed = [
        true
        true
        false
      ];
    };
  };

  "a creator is called as nixpkgs calls it" = {
    expr =
      let
        arguments = {
          storePaths = [ toplevel ];
          populateRootCommands = "touch files/a";
          rootVolumeLabel = "ROOT";
          rootPartitionUUID = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
        };
        inNixpkgsWords = {
          inherit (arguments) storePaths;
          compressImage = false;
          populateImageCommands = arguments.populateRootCommands;
          volumeLabel = arguments.rootVolumeLabel;
          uuid = arguments.rootPartitionUUID;
        };
        fileOf =
          rootFilesystemCreator:
          (rootOf (arguments // { inherit pkgs rootFilesystemCreator; })).content.file;
      in
      {
        path = fileOf ./creator.nix == "${import ./creator.nix inNixpkgsWords}";
        ours = fileOf makeExt4Fs == "${makeExt4Fs (inNixpkgsWords // { inherit pkgs; })}";
      };
    expected = {
      path = true;
      ours = true;
    };
  };

  "callPackage gives what a call gives" = {
    expr = (pkgs.callPackage makeSdImage { }).drvPath == (makeSdImage { inherit pkgs; }).drvPath;
    expected = true;
  };

  "references are discarded where Nix lets them be, and where it is asked for" = {
    expr = map (arguments: (makeSdImage arguments) ? unsafeDiscardReferences) [
      { }
      { unsafeDiscardReferences = true; }
      { unsafeDiscardReferences = false; }
    ];
    expected = [
      (import ../../nix/lib/discards-references.nix builtins.nixVersion)
      true
      false
    ];
  };
}
