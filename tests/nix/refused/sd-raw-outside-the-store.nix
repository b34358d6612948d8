# error: nix2image: makeSdImage: raw[0].source is "/tmp/spl.bin", which is not in the store, so the sandbox would not hold it; give a path (without quotes) or a derivation
(import ../../../nix {
  builder = ./sd-raw-outside-the-store.nix;
  system = "x86_64-linux";
}).makeSdImage
  {
    raw = [
      {
        source = "/tmp/spl.bin";
        offset = 8192;
      }
    ];
  }
