//! Where everything stands, in the smallest filesystem that holds it.
//!
//! Content has ranks, one after the other: the double-indirect block of the resize
//! inode, the journal, then for each file its content, the nodes of its extent tree
//! and its block of extended attributes. The geometry of some number of groups says
//! which block has which rank. Blocks that content takes are therefore all those
//! before one *frontier*, and what a bitmap says follows from it.
//!
//! The number of groups follows from the number of blocks, and both from how many
//! nodes the extent trees need, which follows from where metadata interrupts a file.
//! So groups are tried upwards, from fewer than can do.

use super::extent::{self, extents};
use super::geometry::{Geometry, Shape};
use super::inventory::Inventory;
use super::journal;
use super::options::Options;
use super::units::{
    BLOCK_SIZE, BLOCKS_PER_GROUP, BLOCKS_PER_GROUP_U32, Block, Group, INODES_PER_BLOCK,
    InodeNumber, Rank, blocks_of, u32_of,
};

/// Everything's place.
#[derive(Debug)]
pub(super) struct Layout {
    pub geometry: Geometry,
    /// Blocks of the filesystem.
    pub blocks: u64,
    /// The first block that no content takes.
    pub frontier: Block,
    /// Ranks that content takes.
    pub used_ranks: u64,
    /// Blocks of all extent trees.
    tree_blocks: u64,
    pub journal: Allocation,
    /// By file, as [`Inventory::files`].
    pub files: Vec<Rank>,
}

/// The blocks of one file's content and of its extent tree, which follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allocation {
    pub first: Rank,
    pub content_blocks: u64,
    pub tree_blocks: u64,
}

/// A filesystem with more blocks than the resize inode can reach.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content needs {blocks} blocks of 4 KiB; a filesystem has fewer than 2^32 (16 TiB)")]
pub struct TooManyBlocks {
    /// Blocks that would do, or fewer.
    pub blocks: u64,
}

/// Bytes of disk for which mke2fs makes an inode.
const BLOCKS_PER_INODE: u32 = 16384 / u32_of(BLOCK_SIZE);
/// Inodes of a group by that ratio.
const DEFAULT_INODES_PER_GROUP: u32 = BLOCKS_PER_GROUP_U32 / BLOCKS_PER_INODE;
/// One bitmap block has no bits for more.
const MAX_INODES_PER_GROUP: u32 = BLOCKS_PER_GROUP_U32;
/// Groups for which descriptors are reserved: those of a disk of 4 TiB.
const GROUPS_WHEN_GROWN: u32 = u32_of((4 << 40) / GROUP_BYTES);
/// Groups of 16 TiB, where the block numbers of the resize inode end.
const MAX_GROUPS: u32 = u32_of((16 << 40) / GROUP_BYTES);
/// Bytes of a group.
const GROUP_BYTES: usize = 8 * BLOCK_SIZE * BLOCK_SIZE;

impl Layout {
    /// The smallest filesystem that holds the files and leaves free what `options` ask
    /// for.
    pub(super) fn fit(inventory: &Inventory, options: &Options) -> Result<Self, TooManyBlocks> {
        let content: u64 = inventory
            .files()
            .iter()
            .map(|file| file.content_blocks)
            .sum();
        let inodes = u64::from(inventory.last_number().0) + u64::from(options.free_inodes);
        let free = blocks_of(options.free_bytes);
        let mut groups = groups_of(content + free)
            .max(inodes.div_ceil(u64::from(MAX_INODES_PER_GROUP)))
            .max(1);
        loop {
            let shape = shape(groups, inodes).ok_or(TooManyBlocks {
                blocks: groups * BLOCKS_PER_GROUP,
            })?;
            let layout = Self::place(inventory, shape);
            match layout.cut(free) {
                Ok(layout) => return Ok(layout),
                Err(needed) => groups = groups_of(needed).max(groups + 1),
            }
        }
    }

    /// Gives everything its ranks, in whole groups, as many as they need.
    fn place(inventory: &Inventory, shape: Shape) -> Self {
        let geometry = Geometry::new(shape);
        let mut next = Rank(0);
        if shape.reserved_descriptor_blocks() > 0 {
            next = next.after(1);
        }
        let journal_blocks = journal::default_blocks(Group(shape.groups - 1).start().0 + 1);
        let journal = Allocation::new(&geometry, next, u64::from(journal_blocks));
        next = journal.end();
        let mut tree_blocks = journal.tree_blocks;
        let files = inventory
            .files()
            .iter()
            .map(|file| {
                let allocation = Allocation::new(&geometry, next, file.content_blocks);
                next = allocation.end().after(u64::from(file.xattr_block));
                tree_blocks += allocation.tree_blocks;
                allocation.first
            })
            .collect();
        Self {
            blocks: Group(shape.groups).start().0,
            frontier: geometry.block(next),
            used_ranks: next.0,
            geometry,
            tree_blocks,
            journal,
            files,
        }
    }

    /// Cuts the last group down to what is needed for `free` free blocks; else says
    /// how many blocks another number of groups would need at least.
    fn cut(self, free: u64) -> Result<Self, u64> {
        let shape = self.geometry.shape();
        let whole = Group(shape.groups).start().0;
        let wanted = self.used_ranks + free;
        let capacity = self.geometry.capacity();
        if wanted > capacity {
            // Other numbers of groups may save a block of inodes each, and every node
            // of an extent tree.
            let may_save = u64::from(shape.groups) + self.tree_blocks;
            return Err((whole + (wanted - capacity)).saturating_sub(may_save));
        }
        let last_group = Group(shape.groups - 1).start().0;
        let blocks = wanted
            .checked_sub(1)
            .map_or(0, |last| self.geometry.block(Rank(last)).0 + 1)
            .max(last_group + shape.least_last_group_blocks())
            .max(self.geometry.metadata_end());
        if u64::from(journal::default_blocks(blocks)) != self.journal.content_blocks {
            return Err(whole + 1);
        }
        Ok(Self { blocks, ..self })
    }
}

impl Allocation {
    /// `content_blocks` from `first` on, and the extent tree that they need there.
    pub(super) fn new(geometry: &Geometry, first: Rank, content_blocks: u64) -> Self {
        let available = geometry.capacity().saturating_sub(first.0);
        let runs = geometry.runs(first, content_blocks.min(available));
        let tree_blocks = extent::node_count(extents(runs).count());
        Self {
            first,
            content_blocks,
            tree_blocks,
        }
    }

    /// The rank behind the extent tree.
    pub(super) fn end(self) -> Rank {
        self.first.after(self.content_blocks + self.tree_blocks)
    }
}

fn groups_of(blocks: u64) -> u64 {
    blocks.div_ceil(BLOCKS_PER_GROUP)
}

/// The shape of so many groups with room for `inodes`; nothing if there are too many.
fn shape(groups: u64, inodes: u64) -> Option<Shape> {
    let groups = u32::try_from(groups)
        .ok()
        .filter(|groups| *groups < MAX_GROUPS)?;
    let inodes_per_group = inodes
        .div_ceil(u64::from(groups))
        .next_multiple_of(u64::from(INODES_PER_BLOCK));
    Some(Shape {
        groups,
        inodes_per_group: u32::try_from(inodes_per_group)
            .ok()?
            .max(DEFAULT_INODES_PER_GROUP),
        groups_when_grown: GROUPS_WHEN_GROWN,
    })
}

/// The first inode of `group`.
pub(super) fn first_inode(shape: Shape, group: Group) -> InodeNumber {
    InodeNumber(group.0 * shape.inodes_per_group + 1)
}
