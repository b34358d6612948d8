//! What the peers of the bench share: `walk`, which is parallel, and the arguments.

pub mod walk;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The store paths that the file `list` names, one a line.
pub fn store_paths(list: &str) -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(list).with_context(|| format!("reading {list}"))?;
    Ok(text.lines().map(PathBuf::from).collect())
}
