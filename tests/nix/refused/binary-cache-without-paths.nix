# error: nix2image: makeExt4Fs: binaryCaches[0] has no paths
(import ../../../nix {
  builder = ./binary-cache-without-paths.nix;
  system = "x86_64-linux";
}).makeExt4Fs
  {
    storePaths = [ ];
    volumeLabel = "label";
    binaryCaches = [ { cache = ./binary-cache-without-paths.nix; } ];
  }
