# The image that `cargo xtask demo` builds: no nixpkgs, only Nix and the builder.
{ builder, closure }:
let
  nix2image = import ../nix { builder = /. + builder; };
in
nix2image.makeExt4Fs {
  # An existing store path: `storePath` makes it a dependency of the image.
  storePaths = [ (builtins.storePath closure) ];
  volumeLabel = "demo";
}
