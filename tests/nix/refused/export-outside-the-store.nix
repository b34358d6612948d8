# error: nix2image: makeRootFs: exports[0] is "/tmp/system.closure", which is not in the store, so the sandbox would not hold it; give a path (without quotes) or a derivation
(import ../../../nix {
  builder = ./export-outside-the-store.nix;
  system = "x86_64-linux";
}).makeRootFs
  {
    system = ./export-outside-the-store.nix;
    exports = [ "/tmp/system.closure" ];
  }
