//! Closures: store paths with all that they refer to.

use std::collections::BTreeMap;

use super::{Graph, NarHash, StorePath};

/// A store path and what Nix's database knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidPath {
    /// The store path.
    pub path: StorePath,
    /// The SHA-256 of its NAR.
    pub nar_hash: NarHash,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// What it refers to, in order, each once; itself only if it does.
    pub references: Vec<StorePath>,
    /// The content address, if it has one.
    pub ca: Option<String>,
}

/// Store paths in order, with every path that one of them refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    paths: BTreeMap<StorePath, ValidPath>,
}

/// Graphs that make no closure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosureError {}

impl Closure {
    /// The union of `graphs`, whatever their order.
    pub fn from_graphs(_graphs: impl IntoIterator<Item = Graph>) -> Result<Self, ClosureError> {
        todo!()
    }

    /// The paths, in order.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &ValidPath> {
        self.paths.values()
    }

    /// Whether `path` is one of them.
    #[must_use]
    pub fn contains(&self, path: &StorePath) -> bool {
        self.paths.contains_key(path)
    }
}
