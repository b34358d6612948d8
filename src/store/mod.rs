//! Nix's side: store paths, closures, and what a store path consists of.
