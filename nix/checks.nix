# What `nix flake check` builds.
{
  # attribute set: a nixpkgs for the system at hand.
  pkgs,
  # path: its sources, for the evaluation tests to import.
  nixpkgs,
  # derivation: the static binary.
  package,
  # attribute set: the functions, of that binary.
  functions,
}:
{
  inherit package;

  # Expressions alone: a failure is an error of evaluation, which lists what differs.
  evaluation =
    let
      failures = import ../tests/nix {
        inherit nixpkgs;
        inherit (pkgs.stdenv.hostPlatform) system;
      };
    in
    if failures == [ ] then
      pkgs.runCommand "nix2image-evaluation" { } ''touch "$out"''
    else
      throw "nix2image: evaluation tests failed: ${builtins.toJSON failures}";

  # One image, all the way.
  image =
    let
      image = functions.makeExt4Fs {
        storePaths = [ pkgs.hello ];
        volumeLabel = "check";
        populateImageCommands = ''
          mkdir -p files/etc
          (umask 077; echo secret >files/etc/key)
        '';
        selfCheck = true;
      };
    in
    pkgs.runCommand "nix2image-image" { nativeBuildInputs = [ pkgs.e2fsprogs ]; } ''
      e2fsck -fn ${image}
      debugfs -R 'stat /etc/key' ${image} | grep -q 'Mode:  0600'
      touch "$out"
    '';
}
