# error: nix2image: makeDiskImage: onlyNixStore leaves no place for contents, configFile and installBootLoader; leave them out
(import ../../../nix {
  builder = ./disk-only-store-with-contents.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    onlyNixStore = true;
    configFile = ./disk-only-store-with-contents.nix;
  }
