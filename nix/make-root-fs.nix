# makeRootFs: an ext4 image that is the root of a NixOS; see docs/make-root-fs.md.
context:
import ./lib/build-root.nix context {
  attribute = "makeRootFs";
  build = import ./lib/build-ext4-image.nix context "makeRootFs";
  defaults = {
    name = "nixos-root.img";
    volumeLabel = "nixos";
  };
}
