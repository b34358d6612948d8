# A closure in other forms than Nix's graphs: what becomes an input, and what must not.
{
  system ? "x86_64-linux",
  ...
}:
let
  inherit
    (import ../../nix {
      builder = ./failures.nix;
      inherit system;
    })
    makeExt4Fs
    ;

  dependency = derivation {
    name = "dependency";
    inherit system;
    builder = "/bin/false";
  };
  bare = builtins.unsafeDiscardStringContext;
  inputsOf = string: builtins.attrNames (builtins.getContext string);
  derivationOf = path: [ (bare path.drvPath) ];

  # A path that this store has not.
  elsewhere = "${builtins.storeDir}/gggggggggggggggggggggggggggggggg-hello";

  requestOf =
    arguments:
    (makeExt4Fs (
      {
        storePaths = [ ];
        volumeLabel = "label";
      }
      // arguments
    )).nix2image;
in
import ./failures.nix {
  "exports and text graphs become inputs" = {
    expr =
      map
        (
          argument:
          let
            files =
              (requestOf {
                ${argument} = [
                  "${dependency}/system.closure"
                  (bare "${./failures.nix}")
                  ./failures.nix
                ];
              }).${argument};
          in
          map inputsOf files == [
            (derivationOf dependency)
            [ (bare "${./failures.nix}") ]
            [ (bare "${./failures.nix}") ]
          ]
        )
        [
          "exports"
          "textGraphs"
        ];
    expected = [
      true
      true
    ];
  };

  "exports from outside the store are refused" = {
    expr = requestOf { exports = [ "/tmp/system.closure" ]; };
    expected = "threw";
  };

  "a binary cache becomes an input, and the paths in it do not" = {
    expr =
      let
        cache = builtins.head (requestOf {
          binaryCaches = [
            {
              cache = dependency;
              paths = [
                elsewhere
                dependency
                "${dependency}"
              ];
            }
          ];
        }).binaryCaches;
      in
      {
        attributes = builtins.attrNames cache;
        cache = inputsOf cache.cache == derivationOf dependency;
        paths = map inputsOf cache.paths;
        names = cache.paths == [
          elsewhere
          (bare "${dependency}")
          (bare "${dependency}")
        ];
      };
    expected = {
      attributes = [
        "cache"
        "paths"
      ];
      cache = true;
      paths = [
        [ ]
        [ ]
        [ ]
      ];
      names = true;
    };
  };

  "a binary cache in a directory of the checkout is copied to the store" = {
    expr =
      let
        cache = builtins.head (requestOf {
          binaryCaches = [
            {
              cache = ./package;
              paths = [ ];
            }
          ];
        }).binaryCaches;
      in
      inputsOf cache.cache == [ (bare "${./package}") ];
    expected = true;
  };

  "binary caches without a cache, without paths and with more are refused" = {
    expr =
      map
        (
          cache:
          (builtins.tryEval (
            let
              request = requestOf { binaryCaches = [ cache ]; };
            in
            builtins.deepSeq request request
          )).success
        )
        [
          { paths = [ ]; }
          { cache = dependency; }
          {
            cache = dependency;
            paths = [ ];
            url = "file:///cache";
          }
          {
            cache = "/var/cache";
            paths = [ ];
          }
        ];
    expected = [
      false
      false
      false
      false
    ];
  };
}
