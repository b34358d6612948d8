# error: nix2image: makeExt4Fs: contents[0].source is "/etc/passwd", which is not in the store, so the sandbox would not hold it; give a path (without quotes) or a derivation
(import ../../../nix {
  builder = ./source-outside-the-store.nix;
  system = "x86_64-linux";
}).makeExt4Fs
  {
    storePaths = [ ];
    volumeLabel = "label";
    contents = [
      {
        source = "/etc/passwd";
        target = "/etc/passwd";
      }
    ];
  }
