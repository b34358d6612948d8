//! The integration tests: one file per subject, real tools, nothing skipped.
//!
//! They need what `cargo xtask test` prepares; see [`support`].

mod harness;
mod nix;
mod process;
mod support;
