//! What is wanted: the attributes, checked and typed.
//!
//! A [`Spec`] can be built; whoever holds one need not check it again.

use std::path::PathBuf;

use crate::ext4;
use crate::store::Graph;
use crate::tree::{Timestamp, Xattrs};

/// One image to be made.
#[derive(Debug)]
pub struct Spec {
    /// Where the result goes, and in which form.
    pub output: Output,
    /// The graphs whose union is the closure.
    pub graphs: Vec<Graph>,
    /// What stands in the image beside the closure, in the order given.
    pub contents: Vec<ContentItem>,
    /// Whether `/nix-path-registration` stands in the image.
    pub registration: bool,
    /// The time of everything in the image that has none of its own.
    pub time: Timestamp,
    /// The filesystem.
    pub ext4: ext4::Options,
    /// The container of the image.
    pub compression: Compression,
    /// Whether to read the image again when it is done.
    pub self_check: bool,
}

/// The result: an image by itself or in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The path that Nix expects, `$out`.
    pub path: PathBuf,
    /// The name of the image in the directory `path`, beside its
    /// `nix-path-registration`; without one the image is `path` itself.
    pub image_name: Option<String>,
}

/// What the image's bytes are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing; holes are holes.
    None,
    /// Zstandard, with its level.
    Zstd {
        /// 1 to 19.
        level: i32,
    },
}

/// A file, directory, symlink or unpacked tar file at a place of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentItem {
    /// A store path, or a path in one.
    pub source: PathBuf,
    /// Whether the source is a tar file, whose entries stand at the target.
    pub unpack: bool,
    /// Absolute path in the image: names without `.`, `..` and empty ones; none for the root.
    pub target: Vec<crate::tree::Name>,
    /// Permission bits of the source's top.
    pub mode: Option<u16>,
    /// Owner of the source and all in it.
    pub uid: Option<u32>,
    /// Group of the source and all in it.
    pub gid: Option<u32>,
    /// Time of the source and all in it.
    pub mtime: Option<Timestamp>,
    /// Extended attributes of the source's top.
    pub xattrs: Xattrs,
}
