# makeDiskImage: a disk with a NixOS on it, which boots.
#
# Stands in for nixpkgs' `nixos/lib/make-disk-image.nix` and takes all of its arguments; see
# docs/make-disk-image.md. `$out` is a directory with the image. The arguments stand in
# lib/nixos-disk.nix.
context:
import ./lib/make-callable.nix context {
  attribute = "makeDiskImage";

  # `pkgs.config` is that of nixpkgs: callPackage is not to fill our `config`.
  formals = {
    pkgs = true;
    lib = true;
  };

  function = import ./lib/nixos-disk.nix context {
    function = "makeDiskImage";
    page = "make-disk-image.md";
  };
}
