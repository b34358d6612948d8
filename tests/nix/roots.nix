# The argument `root`, and the functions that make whole roots.
{
  nixpkgs ? ./nixpkgs,
  system ? "x86_64-linux",
  ...
}:
let
  pkgs = import nixpkgs { inherit system; };
  inherit (pkgs) lib;

  inherit
    (import ../../nix {
      builder = ./failures.nix;
      inherit system;
    })
    makeExt4Fs
    makeRootFs
    makeRootTar
    ;

  stub =
    name:
    derivation {
      inherit name system;
      builder = "/bin/false";
    };
  toplevel = stub "nixos-system";
  channel = stub "nixos-channel";
  bash = stub "bash";

  bare = builtins.unsafeDiscardStringContext;
  inputsOf = string: builtins.attrNames (builtins.getContext string);

  imageOf =
    root:
    makeExt4Fs {
      storePaths = [ ];
      volumeLabel = "label";
      inherit root;
    };
  refuses = value: !(builtins.tryEval (builtins.deepSeq value value)).success;

  # A path that this store has not.
  elsewhere = "${builtins.storeDir}/gggggggggggggggggggggggggggggggg-nixos-system";
in
import ./failures.nix {
  "without root there is none" = {
    expr = map (image: image.nix2image ? root || image.exportReferencesGraph.closure != [ ]) [
      (imageOf null)
      (makeExt4Fs {
        storePaths = [ ];
        volumeLabel = "label";
      })
    ];
    expected = [
      false
      false
    ];
  };

  "what this store has of a root is in the closure" = {
    expr =
      let
        image = imageOf {
          system = toplevel;
          channel = "${channel}";
          shell = "${bash}/bin/sh";
          database = false;
        };
        inherit (image.exportReferencesGraph) closure;
      in
      {
        root = image.nix2image.root == {
          system = "${toplevel}";
          channel = "${channel}";
          shell = "${bash}/bin/sh";
          database = false;
        };
        closure = closure == [
          "${channel}"
          "${bash}"
          "${toplevel}"
        ];
        inputs = map inputsOf closure == map (path: [ (bare path.drvPath) ]) [
          channel
          bash
          toplevel
        ];
        instantiates = builtins.isString image.drvPath;
      };
    expected = {
      root = true;
      closure = true;
      inputs = true;
      instantiates = true;
    };
  };

  "a path of the checkout is copied to the store and is in the closure" = {
    expr =
      let
        image = imageOf { system = ./package; };
      in
      image.exportReferencesGraph.closure == [ "${./package}" ]
      && image.nix2image.root == { system = "${./package}"; };
    expected = true;
  };

  "bare strings stay what they are" = {
    expr =
      let
        image = imageOf {
          system = elsewhere;
          shell = "${elsewhere}/bin/sh";
          channel = null;
        };
      in
      {
        inherit (image.exportReferencesGraph) closure;
        inherit (image.nix2image) root;
        inputs = map inputsOf (builtins.attrValues image.nix2image.root);
      };
    expected = {
      closure = [ ];
      root = {
        system = elsewhere;
        shell = "${elsewhere}/bin/sh";
      };
      inputs = [
        [ ]
        [ ]
      ];
    };
  };

  "the paths of a root are beside those of the call" = {
    expr =
      (makeExt4Fs {
        storePaths = [
          bash
          toplevel
        ];
        volumeLabel = "label";
        root.system = toplevel;
      }).exportReferencesGraph.closure == [
        "${bash}"
        "${toplevel}"
        "${toplevel}"
      ];
    expected = true;
  };

  "unknown attributes of a root are refused" = {
    expr = refuses (imageOf { sytem = toplevel; }).nix2image;
    expected = true;
  };

  "makeRootFs is makeExt4Fs with a root" = {
    expr =
      (makeRootFs {
        system = toplevel;
        inherit channel;
        shell = "${bash}/bin/sh";
      }).drvPath == (makeExt4Fs {
        name = "nixos-root.img";
        volumeLabel = "nixos";
        storePaths = [ ];
        root = {
          system = toplevel;
          inherit channel;
          shell = "${bash}/bin/sh";
        };
      }).drvPath;
    expected = true;
  };

  "the least root has a system, the database and the registration" = {
    expr =
      let
        image = makeRootFs { system = toplevel; };
      in
      {
        inherit (image) name;
        inherit (image.nix2image) registration;
        root = builtins.attrNames image.nix2image.root;
        label = image.nix2image.ext4.label;
        ext4 = image.nix2image ? kind;
      };
    expected = {
      name = "nixos-root.img";
      registration = true;
      # `database` is true by default: docs/attributes.md.
      root = [ "system" ];
      label = "nixos";
      ext4 = false;
    };
  };

  "makeRootFs takes what makeExt4Fs takes" = {
    expr =
      let
        image = makeRootFs {
          system = toplevel;
          storePaths = [ bash ];
          volumeLabel = "root";
          name = "root.img";
          compressImage = true;
          freeBytes = 0;
          verify = true;
          deduplicate = true;
          e2fsprogs = throw "e2fsprogs";
        };
      in
      {
        inherit (image) name;
        inherit (image.nix2image) verify deduplicate compression;
        inherit (image.nix2image.ext4) label freeBytes;
        closure = image.exportReferencesGraph.closure == [
          "${bash}"
          "${toplevel}"
        ];
      };
    expected = {
      name = "root.img.zst";
      verify = true;
      deduplicate = true;
      compression = "zstd";
      label = "root";
      freeBytes = 0;
      closure = true;
    };
  };

  "makeRootTar asks for a tar archive of the same root" = {
    expr =
      let
        arguments = {
          system = toplevel;
          inherit channel;
          shell = "${bash}/bin/sh";
          time = 7;
        };
        tar = makeRootTar arguments;
        image = makeRootFs arguments;
      in
      {
        inherit (tar) name;
        request = tar.nix2image == removeAttrs image.nix2image [
          "ext4"
          "selfCheck"
        ]
        // {
          kind = "tar";
        };
        graph = tar.exportReferencesGraph == image.exportReferencesGraph;
      };
    expected = {
      name = "nixos-root.tar";
      request = true;
      graph = true;
    };
  };

  "a compressed tar archive's name ends in .zst" = {
    expr =
      map
        (
          arguments:
          let
            tar = makeRootTar ({ system = toplevel; } // arguments);
          in
          [
            tar.name
            (tar.nix2image.imageName or null)
          ]
        )
        [
          { compressImage = true; }
          {
            compressImage = true;
            name = "root.tar";
            output = "directory";
          }
        ];
    expected = [
      [
        "nixos-root.tar.zst"
        null
      ]
      [
        "root.tar.zst"
        "root.tar.zst"
      ]
    ];
  };

  "callPackage fills no system into a root" = {
    expr =
      map
        (function: {
          same =
            (pkgs.callPackage function { system = toplevel; }).drvPath
            == (function {
              system = toplevel;
              inherit pkgs;
            }).drvPath;
          formals = builtins.attrNames (lib.functionArgs function);
        })
        [
          makeRootFs
          makeRootTar
        ];
    expected =
      let
        each = {
          same = true;
          formals = [ "pkgs" ];
        };
      in
      [
        each
        each
      ];
  };

  "root is no argument of the functions that make one" = {
    expr =
      map
        (
          function:
          refuses
            (function {
              system = toplevel;
              root = { };
            }).nix2image
        )
        [
          makeRootFs
          makeRootTar
        ];
    expected = [
      true
      true
    ];
  };
}
