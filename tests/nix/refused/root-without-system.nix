# error: called without required argument 'system'
(import ../../../nix {
  builder = ./root-without-system.nix;
  system = "x86_64-linux";
}).makeRootFs
  { volumeLabel = "nixos"; }
