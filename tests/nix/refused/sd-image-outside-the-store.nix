# error: nix2image: makeSdImage: rootFilesystemImage is "/tmp/root.img", which is not in the store, so the sandbox would not hold it; give a path (without quotes) or a derivation
(import ../../../nix {
  builder = ./sd-image-outside-the-store.nix;
  system = "x86_64-linux";
}).makeSdImage
  { rootFilesystemImage = "/tmp/root.img"; }
