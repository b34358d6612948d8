//! The integration tests: one file per subject, real tools, nothing skipped.
//!
//! They need what `cargo xtask test` prepares; see [`support`].

mod harness;
mod nix;
mod nix_contents;
mod nix_functions;
mod nix_refused;
mod nix_reproducible;
mod process;
mod support;
