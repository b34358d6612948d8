//! The process around [`nix2image`].
fn main() {}
