//! Nix closures in, bootable disk images out.
//!
//! ```text
//!  .attrs.json ──▶ attrs ──▶ Spec                      what is wanted
//!                    │
//!  store paths ──────┴─────▶ Closure ──▶ Tree ──▶ Pieces ──▶ bytes in $out
//!                            store       root     ext4 fat   image
//!                                                  disk tar
//! ```
//!
//! Each arrow is a module and no arrow turns back. Read them in that order:
//!
//! 1. [`attrs`] finds the structured attributes that Nix wrote and parses them;
//!    [`spec`] is what they ask for, checked once.
//! 2. [`store`] knows Nix: store paths, the NAR form, closures; it gathers a closure
//!    from the forms in which it is given, and scans it into trees.
//! 3. [`tree`] is the filesystem that we want, as a value, whose files have a
//!    [`source`]; [`root`] is the policy of what stands in it, and [`records`] what it
//!    says of its own store; [`boot`] makes what a boot loader finds in it. If asked for,
//!    [`deduplicate`] makes its equal files one, and [`sparse`] finds the zeros in it.
//! 4. [`ext4`] turns a tree into [`image::Pieces`] by arithmetic alone: the exact
//!    size is known before a byte is written. [`fat`] does so for a FAT filesystem, and [`tar`]
//!    for an archive. [`disk`] makes one image of several, with tables that tell where each
//!    is.
//! 5. [`image`] writes pieces, in a container if asked to, and knows nothing of what they
//!    mean. Who must know a hash watches it.
//!
//! If asked to, a [`report`] says what the bytes are and why each store path is there.
//!
//! [`build`] strings them together; `main.rs` is the process around it. [`inspect`] looks into an
//! image that is there, and [`verify`] compares it with what it says of itself.

pub mod attrs;
pub mod boot;
pub mod build;
pub mod deduplicate;
pub mod directory;
pub mod disk;
pub mod error;
pub mod ext4;
pub mod fat;
pub mod image;
pub mod inspect;
pub mod install;
pub mod job;
pub mod prepare_root;
pub mod progress;
pub mod records;
pub mod report;
pub mod root;
pub mod self_check;
pub mod source;
pub mod sparse;
pub mod spec;
pub mod store;
pub mod tar;
pub mod tree;
pub mod verify;
