//! Nix's side: store paths, closures, and what a store path consists of.

/// A graph as `exportReferencesGraph` gives it.
#[derive(Debug)]
pub struct Graph;
