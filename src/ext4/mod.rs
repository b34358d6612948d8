//! ext4: from a tree to the pieces of a filesystem image, by arithmetic alone.

mod options;

pub use options::{HashSeed, Label, LabelTooLong, Options, Uuid, UuidError};
