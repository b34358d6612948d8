# error: nix2image: makeRootTar: binaryCaches[0].url is unknown; allowed are cache paths
(import ../../../nix {
  builder = ./binary-cache-with-url.nix;
  system = "x86_64-linux";
}).makeRootTar
  {
    system = ./binary-cache-with-url.nix;
    binaryCaches = [
      {
        cache = ./binary-cache-with-url.nix;
        paths = [ ];
        url = "file:///cache";
      }
    ];
  }
