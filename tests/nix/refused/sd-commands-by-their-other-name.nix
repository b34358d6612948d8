# error: nix2image: makeSdImage: populateImageCommands is unknown; here it is populateRootCommands
(import ../../../nix {
  builder = ./sd-commands-by-their-other-name.nix;
  system = "x86_64-linux";
}).makeSdImage
  { populateImageCommands = "touch files/a"; }
