//! The integration tests: one file per subject, real tools, nothing skipped.
//!
//! They need what `cargo xtask test` prepares; see [`support`].

mod determinism;
mod exact;
mod flash;
mod harness;
mod mke2fs;
mod mounted;
mod nix;
mod process;
mod random;
mod readers;
mod refused;
mod support;
