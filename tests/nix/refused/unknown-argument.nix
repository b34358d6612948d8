# error: called with unexpected argument 'volumelabel'
(import ../../../nix {
  builder = ./unknown-argument.nix;
  system = "x86_64-linux";
}).makeExt4Fs
  {
    storePaths = [ ];
    volumeLabel = "label";
    volumelabel = "label";
  }
