# error: nix2image: makeSdImage: name is unknown; here it is imageName
(import ../../../nix {
  builder = ./sd-name-by-its-other-name.nix;
  system = "x86_64-linux";
}).makeSdImage
  { name = "card.img"; }
