# error: called with unexpected argument 'volumeLabel'
(import ../../../nix {
  builder = ./label-of-a-tar.nix;
  system = "x86_64-linux";
}).makeRootTar
  {
    system = ./label-of-a-tar.nix;
    volumeLabel = "nixos";
  }
