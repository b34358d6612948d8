# error: nix2image: makeSdImage: contents is not used, for rootFilesystemImage gives the root filesystem; leave out one of the two
(import ../../../nix {
  builder = ./sd-contents-of-another-root.nix;
  system = "x86_64-linux";
}).makeSdImage
  {
    rootFilesystemImage = ./sd-contents-of-another-root.nix;
    contents = [ ];
  }
