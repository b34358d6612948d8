# error: nix2image: makeSdImage: rootFilesystemImage is compressed and needs a nixpkgs to run in: give `pkgs` to the function or to `import ./nix`, or use one that is not
(import ../../../nix {
  builder = ./sd-compressed-root-without-pkgs.nix;
  system = "x86_64-linux";
}).makeSdImage
  {
    rootFilesystemImage = ./sd-compressed-root-without-pkgs.nix;
    rootFilesystemCompressed = true;
  }
