# error: nix2image: makeSdImage: system says nothing to a root filesystem that rootFilesystemCreator gives
(import ../../../nix {
  builder = ./sd-system-of-another-creator.nix;
  system = "x86_64-linux";
}).makeSdImage
  {
    rootFilesystemCreator = ../creator.nix;
    system = ./sd-system-of-another-creator.nix;
  }
