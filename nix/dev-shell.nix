# What `cargo xtask` wants, besides root.
{
  mkShell,
  cargo,
  cargo-deny,
  clippy,
  e2fsprogs,
  rustc,
  rustfmt,
  util-linux,
  zstd,
}:
mkShell {
  packages = [
    cargo
    cargo-deny
    clippy
    e2fsprogs
    rustc
    rustfmt
    util-linux
    zstd
  ];
}
