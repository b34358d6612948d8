# error: nix2image: makeSdImage: system and root are both given; system is short for root.system
(import ../../../nix {
  builder = ./sd-system-and-root.nix;
  system = "x86_64-linux";
}).makeSdImage
  {
    system = ./sd-system-and-root.nix;
    root.system = ./sd-system-and-root.nix;
  }
