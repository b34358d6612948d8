//! ext4: from a tree to the pieces of a filesystem image, by arithmetic alone.

mod options;

pub use options::{HashSeed, Label, LabelTooLong, Options, Uuid, UuidError};

/// Why a tree could not become a filesystem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {}

/// The filesystem that holds `tree`, as small as `options` allow.
pub fn lay_out(
    _tree: &crate::tree::Tree,
    _options: &Options,
) -> Result<crate::image::Pieces, LayoutError> {
    todo!()
}
