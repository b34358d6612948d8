# The channel of root, as nixpkgs' functions for disks make it of their own sources: a derivation
# with `nixos`, which holds nixpkgs and, by the name `nixpkgs`, itself.
{
  # string: the function and the argument that want it, for errors.
  argument,
  # attribute set or null: the nixpkgs whose sources these are. Its build platform copies them.
  pkgs,
  # attribute set: a configuration of NixOS, which knows its version.
  config,
}:
let
  nixos = config.system.nixos or { };
  sources = pkgs.lib.cleanSource pkgs.path;
in
if pkgs == null then
  throw "nix2image: ${argument} makes a channel of nixpkgs' sources: give `pkgs`, or copyChannel = false"
else
  (pkgs.buildPackages or pkgs).runCommand "nixos-${nixos.version or "unknown"}" { } ''
    mkdir -p "$out"
    cp -R ${sources} "$out/nixos"
    chmod -R u+w "$out/nixos"
    if [ ! -e "$out/nixos/nixpkgs" ]; then
      ln -s . "$out/nixos/nixpkgs"
    fi
    rm -rf "$out/nixos/.git"
    printf %s '${nixos.versionSuffix or ""}' > "$out/nixos/.version-suffix"
  ''
