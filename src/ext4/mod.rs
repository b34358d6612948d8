//! ext4: from a tree to the pieces of a filesystem image, by arithmetic alone.
//!
//! ```text
//!  Tree ──▶ Inventory ──▶ Layout ──▶ Filesystem ──▶ Pieces
//!           numbers,      the exact   every structure
//!           sizes, links  places      on disk
//! ```
//!
//! - `inventory` numbers the files and counts what each needs;
//! - `geometry` says where the metadata of block groups lies, and so which blocks
//!   are left; `layout` gives each file its blocks in the smallest filesystem that
//!   holds them all;
//! - `filesystem` says what each inode and each copy of the superblock holds, and
//!   `encode` lays the structures at their places, each from the file that is named
//!   after it: `superblock`, `group`, `inode`, `extent`, `directory`, `xattr`,
//!   `journal`, `orphan`, `resize`. All their bytes are declared in `format`.
//!
//! `docs/image-format.md` draws the result and says why each feature is there.

mod checksum;
mod costs;
mod directory;
mod encode;
mod extent;
mod features;
mod filesystem;
mod format;
mod geometry;
mod group;
mod hash;
mod inode;
mod inventory;
mod journal;
mod layout;
mod options;
mod orphan;
mod resize;
mod superblock;
mod units;
mod xattr;

pub use costs::{Costs, FileCosts};
pub use features::{Feature, Features, FeaturesError};
pub use inventory::{Unfit, UnfitFile};
pub use layout::SizeError;
pub use options::{
    GrowTo, HashSeed, InodeRatio, JournalSize, Label, LabelTooLong, Options, OutOfRange,
    ReservedPercent, Uuid, UuidError,
};
pub use xattr::XattrError;

use filesystem::Filesystem;
use inventory::Inventory;
use layout::Layout;

use crate::image::Pieces;
use crate::tree::{NodeId, Tree};

/// Why a tree could not become a filesystem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A file that ext4 cannot hold.
    #[error(transparent)]
    Unfit(#[from] UnfitFile),
    /// More than the filesystem can hold.
    #[error(transparent)]
    Size(#[from] SizeError),
}

/// Names that a file can have.
pub const MAX_LINKS: u32 = Inventory::MAX_LINKS;

/// A filesystem that is laid out: everything in it has its place.
#[derive(Debug)]
pub struct Image(Filesystem);

/// What a filesystem has, and what of it is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Blocks of 4 KiB.
    pub blocks: u64,
    /// Those of them that are free, the reserved ones too.
    pub free_blocks: u64,
    /// Inodes.
    pub inodes: u32,
    /// Those of them that are free.
    pub free_inodes: u32,
}

impl Image {
    /// The filesystem that holds `tree`, as large as `options` say or as small as they allow.
    ///
    /// `tree`'s root is a directory; it is given a `lost+found` if it has none.
    pub fn new(mut tree: Tree, options: &Options) -> Result<Self, LayoutError> {
        let inventory = Inventory::new(&mut tree, options)?;
        let layout = Layout::fit(&inventory, options)?;
        let filesystem = Filesystem::new(tree, options.clone(), inventory, layout);
        Ok(Self(filesystem))
    }

    /// What it has, as its superblock says.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.usage()
    }

    /// What it takes, and for what; `each` is told what each file takes. The `lost+found` that
    /// the tree was given is the node behind its last.
    pub fn costs(&self, each: impl FnMut(NodeId, FileCosts)) -> Costs {
        Costs::of(&self.0, each)
    }

    /// Its bytes.
    #[must_use]
    pub fn into_pieces(self) -> Pieces {
        encode::pieces(self.0)
    }
}

/// The pieces of the [`Image`] that holds `tree`.
pub fn lay_out(tree: Tree, options: &Options) -> Result<Pieces, LayoutError> {
    Ok(Image::new(tree, options)?.into_pieces())
}
