//! The integration tests: one file per subject, real tools, nothing skipped.
//!
//! They need what `cargo xtask test` prepares; see [`support`].

mod contents;
mod harness;
mod nix;
mod nix_functions;
mod process;
mod refused;
mod reproducible;
mod support;
