# makeExt4Fs: an ext4 image that holds the closure of some store paths.
#
# Stands in for nixpkgs' `nixos/lib/make-ext4-fs.nix` and takes all of its arguments; see
# docs/make-ext4-fs.md. `$out` is the image file itself. The arguments stand in
# lib/build-ext4-image.nix and lib/build-image.nix.
context:
let
  build = import ./lib/build-ext4-image.nix context "makeExt4Fs";
in
import ./lib/make-callable.nix context {
  attribute = "makeExt4Fs";

  # Those of nixpkgs' function.
  formals = {
    pkgs = true;
    lib = true;
    storePaths = false;
    compressImage = true;
    populateImageCommands = true;
    volumeLabel = false;
    uuid = true;
    zstd = true;
    e2fsprogs = true;
    libfaketime = true;
    perl = true;
    fakeroot = true;
    lkl = true;
  };

  function = arguments: build ({ name = "ext4-fs.img"; } // arguments);
}
