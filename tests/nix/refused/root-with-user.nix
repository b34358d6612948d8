# error: nix2image: makeExt4Fs: root.user is unknown; allowed are system channel shell database
(import ../../../nix {
  builder = ./root-with-user.nix;
  system = "x86_64-linux";
}).makeExt4Fs
  {
    storePaths = [ ];
    volumeLabel = "label";
    root.user = "root";
  }
