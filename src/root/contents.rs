//! Contents: what a user wants in the image beside the closure.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::spec::ContentItem;
use crate::tree::{Name, NodeId, Timestamp, Tree};

/// A tree and its place in the image.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Where it comes from, for messages.
    pub source: PathBuf,
    /// Names from the image's root to the tree's.
    pub target: Vec<Name>,
    /// What stands there.
    pub tree: Tree,
    /// Directories of the tree that its source implies without describing them: they
    /// leave alone the metadata of a directory that is there already.
    pub implied: BTreeSet<NodeId>,
}

/// Contents that cannot stand in an image.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {}

/// The trees of `items`, in their order. What has no time of its own gets `mtime`.
pub fn place(_items: &[ContentItem], _mtime: Timestamp) -> Result<Vec<Placed>, ContentsError> {
    todo!()
}
