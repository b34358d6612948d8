# The static binary; call it with `pkgsStatic.callPackage`.
{
  lib,
  rustPlatform,
}:
let
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.package) version;

  # What cargo reads, and nothing else: a change of the documentation builds no new binary, and so
  # no new images. xtask is a member of the workspace.
  src = builtins.path {
    name = "nix2image-source";
    path = ../.;
    filter =
      let
        root = toString ../.;
        kept = map (name: "${root}/${name}") [
          "Cargo.lock"
          "Cargo.toml"
          "src"
          "xtask"
        ];
        keeps = path: top: path == top || builtins.substring 0 (builtins.stringLength top + 1) path == "${top}/";
      in
      path: _type: builtins.any (keeps path) kept;
  };
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [ "--package=nix2image" ];

  # The tests want root, loop devices and a Nix of their own: `cargo xtask test` runs them.
  doCheck = false;

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
