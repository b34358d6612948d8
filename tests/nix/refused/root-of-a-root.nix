# error: nix2image: makeRootFs: root is unknown; system, channel and shell are arguments by themselves
(import ../../../nix {
  builder = ./root-of-a-root.nix;
  system = "x86_64-linux";
}).makeRootFs
  {
    system = ./root-of-a-root.nix;
    root.database = false;
  }
