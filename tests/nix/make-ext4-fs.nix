# makeExt4Fs by a plain call: what the derivation is, and what the binary is told.
{
  nixpkgs ? ./nixpkgs,
  system ? "x86_64-linux",
  ...
}:
let
  functions = import ../../nix {
    builder = ./failures.nix;
    inherit system;
  };
  inherit (functions) makeExt4Fs;

  withPkgs = import ../../nix {
    builder = ./failures.nix;
    inherit system;
    pkgs = import nixpkgs { inherit system; };
  };

  least = {
    storePaths = [ ];
    volumeLabel = "label";
  };
  image = makeExt4Fs least;
  requestOf = arguments: (makeExt4Fs (least // arguments)).nix2image;

  dependency = derivation {
    name = "dependency";
    inherit system;
    builder = "/bin/false";
  };
  contextOf = string: builtins.attrNames (builtins.getContext string);
in
import ./failures.nix {
  "the result is a derivation" = {
    expr = {
      inherit (image)
        type
        name
        system
        outputs
        ;
      instantiates = builtins.isString image.drvPath;
    };
    expected = {
      type = "derivation";
      name = "ext4-fs.img";
      inherit system;
      outputs = [ "out" ];
      instantiates = true;
    };
  };

  "the least call" = {
    expr = image.nix2image;
    expected = {
      version = 1;
      graphs = [ "closure" ];
      textGraphs = [ ];
      exports = [ ];
      binaryCaches = [ ];
      verify = false;
      deduplicate = false;
      contents = [ ];
      registration = true;
      time = 1;
      output = "file";
      compression = "none";
      selfCheck = false;
      ext4 = {
        label = "label";
        uuid = "44444444-4444-4444-8888-888888888888";
        profile = "default";
        freeBytes = 16777216;
        freeInodes = 1024;
        reservedPercent = 5;
        inodeRatio = 16384;
        growTo = 4398046511104;
        sparse = false;
      };
    };
  };

  "all arguments" = {
    expr = removeAttrs (requestOf {
      compressImage = true;
      compressionLevel = 9;
      hashSeed = "00000000-0000-4000-8000-000000000001";
      profile = "modern";
      size = 1073741824;
      freeBytes = 0;
      freeInodes = 0;
      reservedPercent = 0;
      inodeRatio = 8192;
      journalSize = 67108864;
      growTo = 1099511627776;
      sparse = true;
      imageName = "root.img";
      output = "directory";
      registration = false;
      selfCheck = true;
      verify = true;
      deduplicate = true;
      time = 7;
      uuid = "00000000-0000-4000-8000-000000000000";
    }) [ "contents" ];
    expected = {
      version = 1;
      graphs = [ "closure" ];
      textGraphs = [ ];
      exports = [ ];
      binaryCaches = [ ];
      verify = true;
      deduplicate = true;
      registration = false;
      time = 7;
      output = "directory";
      imageName = "root.img";
      compression = "zstd";
      compressionLevel = 9;
      selfCheck = true;
      ext4 = {
        label = "label";
        uuid = "00000000-0000-4000-8000-000000000000";
        hashSeed = "00000000-0000-4000-8000-000000000001";
        profile = "modern";
        size = 1073741824;
        freeBytes = 0;
        freeInodes = 0;
        reservedPercent = 0;
        inodeRatio = 8192;
        journalSize = 67108864;
        growTo = 1099511627776;
        sparse = true;
      };
    };
  };

  "a report is a second output, and keeps nothing alive where Nix can be told so" = {
    expr =
      let
        image = makeExt4Fs (least // { report = true; });
        keeps = makeExt4Fs (
          least
          // {
            report = true;
            unsafeDiscardReferences = false;
          }
        );
      in
      {
        inherit (image) outputs;
        inherit (image.nix2image) report;
        ofReport = image.report.outputName;
        discards = image.unsafeDiscardReferences or { };
        keeps = keeps.unsafeDiscardReferences or { };
        without = (makeExt4Fs (least // { report = false; })).drvPath == image.drvPath;
        same = (makeExt4Fs (least // { report = false; })).drvPath == (makeExt4Fs least).drvPath;
      };
    expected =
      let
        isKnown = builtins.compareVersions builtins.nixVersion "2.18" >= 0;
        where = attrs: if isKnown then attrs else { };
      in
      {
        outputs = [
          "out"
          "report"
        ];
        report = true;
        ofReport = "report";
        discards = where {
          out = true;
          report = true;
        };
        keeps = where { report = true; };
        without = false;
        same = true;
      };
  };

  "nixpkgs' tools are taken and make no difference" = {
    expr =
      (makeExt4Fs (
        least
        // {
          lib = throw "lib";
          zstd = throw "zstd";
          e2fsprogs = throw "e2fsprogs";
          libfaketime = throw "libfaketime";
          perl = throw "perl";
          fakeroot = throw "fakeroot";
          lkl = throw "lkl";
        }
      )).drvPath == image.drvPath;
    expected = true;
  };

  "the name of a compressed image ends in .zst" = {
    expr = map (arguments: (makeExt4Fs (least // arguments)).name) [
      { compressImage = true; }
      { name = "root.img"; }
      {
        name = "root.img";
        compressImage = true;
      }
    ];
    expected = [
      "ext4-fs.img.zst"
      "root.img"
      "root.img.zst"
    ];
  };

  "a directory's image is named after the result" = {
    expr =
      (requestOf {
        output = "directory";
        compressImage = true;
      }).imageName;
    expected = "ext4-fs.img.zst";
  };

  "the closure is a flat list of strings with context" = {
    expr =
      let
        graph =
          (makeExt4Fs (
            least
            // {
              storePaths = [
                dependency
                ./failures.nix
              ];
            }
          )).exportReferencesGraph.closure;
      in
      {
        types = map builtins.typeOf graph;
        inputs = map contextOf graph == [
          [ (builtins.unsafeDiscardStringContext dependency.drvPath) ]
          [ (builtins.unsafeDiscardStringContext (builtins.elemAt graph 1)) ]
        ];
      };
    expected = {
      types = [
        "string"
        "string"
      ];
      inputs = true;
    };
  };

  "a bare string in the store becomes an input" = {
    expr = contextOf (
      builtins.head
        (makeExt4Fs (
          least
          // {
            storePaths = [ (builtins.unsafeDiscardStringContext "${./failures.nix}") ];
          }
        )).exportReferencesGraph.closure
    );
    expected = [ (builtins.unsafeDiscardStringContext "${./failures.nix}") ];
  };

  "a string outside the store is refused" = {
    expr = (makeExt4Fs (least // { storePaths = [ "/etc/passwd" ]; })).drvPath;
    expected = "threw";
  };

  "contents become inputs and lose what is null" = {
    expr =
      let
        item = builtins.head (requestOf {
          contents = [
            {
              source = "${dependency}/share";
              target = "/share";
              mode = "0750";
              uid = null;
            }
          ];
        }).contents;
      in
      removeAttrs item [ "source" ]
      // {
        inputs = map baseNameOf (contextOf item.source);
      };
    expected = {
      target = "/share";
      mode = "0750";
      inputs = [ (baseNameOf (builtins.unsafeDiscardStringContext dependency.drvPath)) ];
    };
  };

  "contents without a source are refused" = {
    expr = requestOf { contents = [ { target = "/a"; } ]; };
    expected = "threw";
  };

  "contents without a target are refused" = {
    expr = requestOf { contents = [ { source = dependency; } ]; };
    expected = "threw";
  };

  "contents with an unknown attribute are refused" = {
    expr = requestOf {
      contents = [
        {
          source = dependency;
          target = "/a";
          user = "root";
        }
      ];
    };
    expected = "threw";
  };

  "contents from outside the store are refused" = {
    expr = requestOf {
      contents = [
        {
          source = "/etc/passwd";
          target = "/etc/passwd";
        }
      ];
    };
    expected = "threw";
  };

  "populateImageCommands without pkgs are refused" = {
    expr = requestOf { populateImageCommands = "touch files/a"; };
    expected = "threw";
  };

  "empty populateImageCommands need no pkgs" = {
    expr = (requestOf { populateImageCommands = ""; }).contents;
    expected = [ ];
  };

  "populateImageCommands become a tar file, before the contents" = {
    expr = map (item: removeAttrs item [ "source" ]) (
      withPkgs.makeExt4Fs (
        least
        // {
          populateImageCommands = "touch files/a";
          contents = [
            {
              source = dependency;
              target = "/b";
            }
          ];
        }
      )
    ).nix2image.contents;
    expected = [
      {
        target = "/";
        unpack = true;
      }
      { target = "/b"; }
    ];
  };

  "pkgs of the call win" = {
    expr =
      (withPkgs.makeExt4Fs (
        least
        // {
          populateImageCommands = "touch files/a";
          pkgs = null;
        }
      )).drvPath;
    expected = "threw";
  };

  "references are discarded where Nix lets them be" = {
    expr = map (import ../../nix/lib/discards-references.nix) [
      "2.3.16"
      "2.8.0"
      "2.13.6"
      "2.14.1"
      "2.17.1"
      "2.18"
      "2.18.1"
      "2.26.3"
      "2.91.1"
      "3.0"
    ];
    expected = [
      false
      false
      false
      false
      false
      true
      true
      true
      true
      true
    ];
  };

  "unsafeDiscardReferences is an argument" = {
    expr =
      map
        (
          unsafeDiscardReferences:
          let
            result = makeExt4Fs (least // { inherit unsafeDiscardReferences; });
          in
          result.unsafeDiscardReferences or null
        )
        [
          true
          false
        ];
    expected = [
      { out = true; }
      null
    ];
  };

  "unsafeDiscardReferences follows this Nix" = {
    expr = image ? unsafeDiscardReferences;
    expected = import ../../nix/lib/discards-references.nix builtins.nixVersion;
  };

  # The name and the content are the same, so the store path is.
  "a builder outside the store is copied to it, path or string" = {
    expr =
      let
        builderOf =
          builder:
          (
            (import ../../nix {
              inherit builder system;
            }).makeExt4Fs
            least
          ).builder;
        path = builderOf ./failures.nix;
      in
      {
        inStore = dirOf path == builtins.storeDir;
        name = builtins.match ".*-nix2image" path != null;
        # Pure evaluation lets no string name a file.
        string = !(builtins ? currentSystem) || builderOf (toString ./failures.nix) == path;
      };
    expected = {
      inStore = true;
      name = true;
      string = true;
    };
  };

  "a builder in the store stays where it is" = {
    expr =
      let
        builderOf =
          builder:
          (
            (import ../../nix {
              inherit builder system;
            }).makeExt4Fs
            least
          ).builder;
        expectations = builder: {
          same = builderOf builder == builder;
          inputs = contextOf (builderOf builder);
        };
      in
      map expectations [
        "${dependency}/bin/nix2image"
        (builtins.unsafeDiscardStringContext "${./failures.nix}")
      ];
    expected = [
      {
        same = true;
        inputs = [ (builtins.unsafeDiscardStringContext dependency.drvPath) ];
      }
      {
        same = true;
        inputs = [ (builtins.unsafeDiscardStringContext "${./failures.nix}") ];
      }
    ];
  };
}
