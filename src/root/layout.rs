//! The one tree of an image.

use super::Placed;
use crate::store::StorePath;
use crate::tree::{Timestamp, Tree};

/// Parts that do not make one tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {}

/// The tree of an image.
pub fn tree(
    _scanned: Vec<(StorePath, Tree)>,
    _contents: Vec<Placed>,
    _registration: Option<Vec<u8>>,
    _mtime: Timestamp,
) -> Result<Tree, RootError> {
    todo!()
}
