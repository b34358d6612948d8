# error: nix2image: makeSdImage: rootFilesystemCreator is called by the callPackage of a nixpkgs: give `pkgs` to the function or to `import ./nix`
(import ../../../nix {
  builder = ./sd-creator-without-pkgs.nix;
  system = "x86_64-linux";
}).makeSdImage
  { rootFilesystemCreator = ../creator.nix; }
