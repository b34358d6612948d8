//! FAT12, FAT16 and FAT32: from a tree to the pieces of a filesystem image.
//!
//! ```text
//!  Tree ──▶ Inventory ──▶ Shape ──▶ the crate ──▶ Disk ──▶ Pieces
//!           names, what   type,     writes        keeps metadata, and where
//!           they take     size                    content belongs
//! ```
//!
//! - `names` refuses what FAT cannot hold and counts entries and clusters;
//! - `geometry` chooses type, clusters and size;
//! - `write` has the `hadris-fat` crate make the filesystem, on a `disk` that keeps only
//!   what it writes; `format` completes that.
//!
//! FAT has no owners, modes, hard links and extended attributes: they are left out, and a
//! file with several names becomes several files. All times are one. `docs/fat.md` says
//! what the result looks like.

mod costs;
mod disk;
mod format;
mod geometry;
mod names;
mod options;
mod time;
mod write;

pub use costs::Costs;
pub use geometry::SizeError;
pub use names::{Fault, UnfitFile};
pub use options::{
    ClusterSize, ClusterSizeError, FatType, FatTypeError, Label, LabelError, Options, SectorSize,
    SectorSizeError, VolumeId, VolumeIdError,
};
pub use time::TimeError;

use geometry::Shape;
use names::Inventory;

use crate::image::Pieces;
use crate::tree::Tree;

/// Why a tree could not become a filesystem.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// A file that FAT cannot hold.
    #[error(transparent)]
    Unfit(#[from] UnfitFile),
    /// A size, a type or clusters that do not go with the tree or with each other.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A time that FAT cannot hold.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// The crate refused what we took for possible.
    #[error("the FAT filesystem could not be made: {0}; this is a fault of nix2image")]
    Crate(hadris_fat::Error),
}

/// The filesystem that holds `tree`, as large as `options` say or as small as they allow.
///
/// Nothing is read and nothing is written: the pieces of a file's content are its source.
/// So a source may also be late.
pub fn lay_out(tree: &Tree, options: &Options) -> Result<Pieces, FatError> {
    Ok(lay_out_with_costs(tree, options)?.0)
}

/// The same, and what it takes.
pub fn lay_out_with_costs(tree: &Tree, options: &Options) -> Result<(Pieces, Costs), FatError> {
    let time = time::fat_time(options.time)?;
    let inventory = Inventory::new(tree, options.label.is_some())?;
    let shape = Shape::of(&inventory, options)?;
    let costs = Costs::of(&inventory, &shape).map_err(FatError::Crate)?;
    let pieces = write::write(&inventory, options, &shape, time).map_err(FatError::Crate)?;
    Ok((pieces, costs))
}
