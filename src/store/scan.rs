//! Scanning: what a store path of the host consists of, as a tree.

use std::path::Path;

use super::{Closure, StorePath};
use crate::tree::{Timestamp, Tree};

/// Why a store path could not become a tree.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {}

/// The tree at `path`, a store path or a path in one.
pub fn scan(_path: &Path, _mtime: Timestamp) -> Result<Tree, ScanError> {
    todo!()
}

/// The trees of all paths of a closure, in order.
pub fn scan_closure(
    _closure: &Closure,
    _mtime: Timestamp,
) -> Result<Vec<(StorePath, Tree)>, ScanError> {
    todo!()
}
