# The static binary; call it with `pkgsStatic.callPackage`.
{
  lib,
  rustPlatform,
  stdenv,
}:
let
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.package) version;

  # What cargo reads, and nothing else: a change of the documentation builds no new binary, and so
  # no new images. xtask and benches/peers are members of the workspace.
  src = builtins.path {
    name = "nix2image-source";
    path = ../.;
    filter =
      let
        length = builtins.stringLength (toString ../.);
        kept = "/(Cargo\\.lock|Cargo\\.toml|benches|src|xtask)(/.*)?";
      in
      path: _type: builtins.match kept (builtins.substring length (-1) path) != null;
  };
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [ "--package=nix2image" ];

  # The tests want root, loop devices and a Nix of their own: `cargo xtask test` runs them.
  doCheck = false;

  # Manual pages and completions, which the program makes of its own command line.
  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    $out/bin/nix2image manual $out
  '';

  meta = {
    inherit (manifest.package) description;
    license = [
      lib.licenses.mit
      lib.licenses.asl20
    ];
    mainProgram = "nix2image";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
