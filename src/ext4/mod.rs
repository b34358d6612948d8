//! ext4: from a tree to the pieces of a filesystem image, by arithmetic alone.
//!
//! ```text
//!  Tree ──▶ Inventory ──▶ Layout ──▶ Filesystem ──▶ Pieces
//!           numbers,      the exact   every structure
//!           sizes, links  places      on disk
//! ```
//!
//! - [`inventory`](self) numbers the files and counts what each needs;
//! - `geometry` says where the metadata of block groups lies, and so which blocks
//!   are left; `layout` gives each file its blocks in the smallest filesystem that
//!   holds them all;
//! - `encode` lays the structures there, each from the file that is named after it:
//!   `superblock`, `group`, `inode`, `extent`, `directory`, `xattr`, `journal`,
//!   `resize`. All their bytes are declared in `format`.
//!
//! `docs/image-format.md` draws the result and says why each feature is there.

mod checksum;
mod directory;
mod encode;
mod extent;
mod format;
mod geometry;
mod group;
mod hash;
mod inode;
mod inventory;
mod journal;
mod layout;
mod options;
mod resize;
mod superblock;
mod units;
mod xattr;

pub use inventory::{Unfit, UnfitFile};
pub use layout::TooManyBlocks;
pub use options::{HashSeed, Label, LabelTooLong, Options, Uuid, UuidError};
pub use xattr::XattrError;

use encode::Filesystem;
use inventory::Inventory;
use layout::Layout;

use crate::image::Pieces;
use crate::tree::{Timestamp, Tree};

/// Why a tree could not become a filesystem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A file that ext4 cannot hold.
    #[error(transparent)]
    Unfit(#[from] UnfitFile),
    /// More than ext4 can hold.
    #[error(transparent)]
    TooManyBlocks(#[from] TooManyBlocks),
}

/// The filesystem that holds `tree`, as small as `options` allow.
///
/// `tree`'s root is a directory; it is given a `lost+found` if it has none.
pub fn lay_out(mut tree: Tree, options: &Options) -> Result<Pieces, LayoutError> {
    let time = Timestamp::from_seconds(options.time.into());
    let inventory = Inventory::new(&mut tree, options.hash_seed, time)?;
    let layout = Layout::fit(&inventory, options)?;
    Ok(Filesystem::new(tree, options.clone(), inventory, layout).into_pieces())
}
