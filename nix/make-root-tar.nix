# makeRootTar: a tar archive that is the root of a NixOS; see docs/make-root-tar.md.
context:
import ./lib/build-root.nix context {
  attribute = "makeRootTar";
  build = import ./lib/build-image.nix context {
    function = "makeRootTar";
    request.kind = "tar";
  };
  defaults.name = "nixos-root.tar";
}
