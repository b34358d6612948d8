# error: called without required argument 'volumeLabel'
(import ../../../nix {
  builder = ./missing-label.nix;
  system = "x86_64-linux";
}).makeExt4Fs
  { storePaths = [ ]; }
