//! The integration tests: one file per subject, real tools, nothing skipped.
//!
//! They need what `cargo xtask test` prepares; see [`support`].

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, and says where; helpers are tests too"
)]

mod boot_disks;
mod boot_readers;
mod containers;
mod deduplicate;
mod determinism;
mod disks;
mod documents;
mod exact;
mod extents;
mod fat;
mod flash;
mod forms;
mod fuzz_corpus;
mod gallery;
mod growth;
mod harness;
mod host_filesystems;
mod inspect;
mod inspect_refused;
mod install;
mod manual;
mod matrix;
mod mke2fs;
mod mounted;
mod nix;
mod nix_boots;
mod nix_contents;
mod nix_disks;
mod nix_functions;
mod nix_refused;
mod nix_reproducible;
mod nix_roots;
mod nix_sd;
mod owned_store;
mod prepare_root;
mod process;
mod profiles;
mod progress;
mod random;
mod readers;
mod refused;
mod report;
mod report_page;
mod sharing;
mod sizes;
mod support;
mod survival;
mod tar;
mod verify;
