# error: nix2image: makeExt4Fs: contents[1] has no target
(import ../../../nix {
  builder = ./contents-without-target.nix;
  system = "x86_64-linux";
}).makeExt4Fs
  {
    storePaths = [ ];
    volumeLabel = "label";
    contents = [
      {
        source = ./contents-without-target.nix;
        target = "/a";
      }
      { source = ./contents-without-target.nix; }
    ];
  }
