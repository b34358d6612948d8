# The Nix functions of nix2image.
#
#   let
#     nix2image = import ./nix { builder = ./nix2image; };
#   in
#   nix2image.makeExt4Fs {
#     storePaths = [ … ];
#     volumeLabel = "NIXOS_SD";
#   }
#
# They need no nixpkgs, only a Nix: each makes a derivation whose builder is the static binary.
{
  # path: the static binary `nix2image`, for the build platform. A path, or an absolute string
  # outside the store, is copied to the store; a string such as "${pkgs.nix2image}/bin/nix2image"
  # is taken as it is.
  builder,
  # string: the system that the binary runs on: the build platform's.
  # Default: that of the given `pkgs`, else `builtins.currentSystem`.
  system ? null,
  # attribute set: a nixpkgs, used for arguments that are shell text and for nothing else.
  pkgs ? null,
}:
let
  context = {
    builder = import ./lib/builder.nix builder;
    inherit system pkgs;
  };
in
{
  makeAmazonImage = import ./make-amazon-image.nix context;
  makeDiskImage = import ./make-disk-image.nix context;
  makeExt4Fs = import ./make-ext4-fs.nix context;
  makeRootFs = import ./make-root-fs.nix context;
  makeRootTar = import ./make-root-tar.nix context;
  makeSdImage = import ./make-sd-image.nix context;

  # For configurations of NixOS. They use nothing of what is given above.
  modules.amazon-image = ./modules/amazon-image.nix;
  modules.disk-image = ./modules/disk-image.nix;
  modules.sd-image = ./modules/sd-image.nix;
  modules.tools = ./modules/tools.nix;
}
