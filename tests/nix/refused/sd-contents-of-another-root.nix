# error: nix2image: makeSdImage: contents says nothing to a root filesystem that rootFilesystemImage gives
(import ../../../nix {
  builder = ./sd-contents-of-another-root.nix;
  system = "x86_64-linux";
}).makeSdImage
  {
    rootFilesystemImage = ./sd-contents-of-another-root.nix;
    contents = [ ];
  }
