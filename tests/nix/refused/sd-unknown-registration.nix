# error: nix2image: makeSdImage: registration is "none"; it is true, false or "empty"
(import ../../../nix {
  builder = ./sd-unknown-registration.nix;
  system = "x86_64-linux";
}).makeSdImage
  { registration = "none"; }
