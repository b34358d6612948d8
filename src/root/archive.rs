//! Archives: tar files as trees.

/// Why a tar file could not become a tree.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {}
