# error: nix2image: makeSdImage: uuid is unknown; here it is rootPartitionUUID
(import ../../../nix {
  builder = ./sd-uuid-by-its-other-name.nix;
  system = "x86_64-linux";
}).makeSdImage
  { uuid = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7"; }
