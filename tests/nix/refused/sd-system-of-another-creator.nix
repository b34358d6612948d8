# error: nix2image: makeSdImage: system is not used, for rootFilesystemCreator gives the root filesystem; leave out one of the two
(import ../../../nix {
  builder = ./sd-system-of-another-creator.nix;
  system = "x86_64-linux";
}).makeSdImage
  {
    rootFilesystemCreator = ../creator.nix;
    system = ./sd-system-of-another-creator.nix;
  }
