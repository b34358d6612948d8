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

use super::extent::{self, Extent, Mapped, extents};
use super::features::Feature;
use super::format::{GroupDescriptor, SHORT_GROUP_DESCRIPTOR_SIZE};
use super::geometry::{Geometry, Run, Shape};
use super::inventory::Inventory;
use super::options::{JournalSize, Options};
use super::units::{
    BLOCK_BYTES, BLOCK_SIZE, BLOCKS_PER_GROUP, BLOCKS_PER_GROUP_U32, Block, Group,
    INODES_PER_BLOCK, InodeNumber, Rank, blocks_of, u32_of,
};
use super::{journal, orphan};

/// Everything's place.
#[derive(Debug)]
pub(super) struct Layout {
    pub geometry: Geometry,
    /// Blocks of the filesystem.
    pub blocks: u64,
    /// Bytes of the image, which may have a little more.
    pub image_size: u64,
    /// The first block that no content takes.
    pub frontier: Block,
    /// Ranks that content takes.
    pub used_ranks: u64,
    /// Blocks of all extent trees.
    tree_blocks: u64,
    pub journal: Option<Allocation>,
    pub orphan_file: Option<Allocation>,
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

/// Why no filesystem of the size that is wanted, or of any, holds the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// More blocks than 32 bits can count, but for a group that is kept off.
    #[error(
        "the filesystem needs {blocks} blocks of 4 KiB, and has at most {MAX_BLOCKS} (16 TiB less 128 MiB); give it less content, or a smaller `size` or `freeBytes`"
    )]
    TooManyBlocks {
        /// Blocks that were asked for, or would do, or fewer.
        blocks: u64,
    },
    /// The size that was asked for will not do.
    #[error(
        "the content does not fit into {size} bytes; a `size` of {least} is the least that would do, or ask for less with `freeBytes` and `freeInodes`"
    )]
    TooSmall {
        /// Bytes that were asked for.
        size: u64,
        /// Bytes that would do.
        least: u64,
    },
}

/// One bitmap block has no bits for more.
const MAX_INODES_PER_GROUP: u32 = BLOCKS_PER_GROUP_U32;
/// Bytes of a group.
const GROUP_BYTES: usize = 8 * BLOCK_SIZE * BLOCK_SIZE;
/// Groups of 16 TiB, where block numbers of 32 bits end.
const MAX_GROUPS: u32 = u32_of((16 << 40) / GROUP_BYTES);
/// Blocks of the largest filesystem, which has a group less: with it, inodes could be
/// too many to be counted.
const MAX_BLOCKS: u64 = (MAX_GROUPS as u64 - 1) * BLOCKS_PER_GROUP;
/// `s_log_groups_per_flex` of mke2fs: 16 groups keep their metadata together.
const LOG_GROUPS_PER_FLEX: u8 = 4;

impl Layout {
    /// The filesystem of the size that `options` ask for, or else the smallest, that
    /// holds the files and leaves free what `options` ask for.
    pub(super) fn fit(inventory: &Inventory, options: &Options) -> Result<Self, SizeError> {
        let demand = Demand::new(inventory, options);
        match options.size {
            None => demand.smallest(1),
            Some(size) => demand.exactly(size),
        }
    }

    /// Blocks without metadata from the frontier on, if the filesystem ends at `end`.
    fn free_blocks(&self, end: u64) -> u64 {
        self.geometry
            .ranks_before(Block(end))
            .saturating_sub(self.used_ranks)
    }

    /// Fewer blocks than any filesystem of more groups needs that leaves `free` blocks
    /// free, where one of whole groups like this does not.
    fn least_blocks_beyond(&self, free: u64) -> u64 {
        let shape = self.geometry.shape();
        let missing = (self.used_ranks + free).saturating_sub(self.geometry.capacity());
        // More groups may save a block of inodes each, and every node of an extent tree.
        let may_save = u64::from(shape.groups) + self.tree_blocks;
        (Group(shape.groups).start().0 + missing).saturating_sub(may_save)
    }
}

/// What the filesystem must hold.
struct Demand<'a> {
    inventory: &'a Inventory,
    options: &'a Options,
    /// Used and free.
    inodes: u64,
    free_blocks: u64,
}

impl<'a> Demand<'a> {
    fn new(inventory: &'a Inventory, options: &'a Options) -> Self {
        Self {
            inventory,
            options,
            inodes: u64::from(inventory.last_number().0) + u64::from(options.free_inodes),
            free_blocks: blocks_of(options.free_bytes),
        }
    }

    /// The smallest filesystem of at least `groups` groups.
    fn smallest(&self, groups: u64) -> Result<Layout, SizeError> {
        let content: u64 = self
            .inventory
            .files()
            .iter()
            .map(|file| file.content.blocks())
            .sum();
        let mut groups = groups
            .max(groups_of(content + self.free_blocks))
            .max(self.inodes.div_ceil(u64::from(MAX_INODES_PER_GROUP)));
        loop {
            let shape = self.shape(groups).ok_or(SizeError::TooManyBlocks {
                blocks: groups * BLOCKS_PER_GROUP,
            })?;
            let start_of_last = Group(shape.groups - 1).start().0;
            let layout = self.place(shape, start_of_last + 1);
            let last_rank = layout.used_ranks + self.free_blocks;
            if last_rank > layout.geometry.capacity() {
                groups = groups_of(layout.least_blocks_beyond(self.free_blocks)).max(groups + 1);
                continue;
            }
            let blocks = last_rank
                .checked_sub(1)
                .map_or(0, |last| layout.geometry.block(Rank(last)).0 + 1)
                .max(start_of_last + shape.least_last_group_blocks())
                .max(layout.geometry.metadata_end());
            if self.journal_blocks(blocks) == self.journal_blocks(start_of_last + 1) {
                return Ok(Layout {
                    blocks,
                    image_size: Block(blocks).offset(),
                    ..layout
                });
            }
            groups += 1;
        }
    }

    /// The filesystem that fills `size` bytes.
    fn exactly(&self, size: u64) -> Result<Layout, SizeError> {
        let blocks = size / BLOCK_BYTES;
        let too_small = || -> Result<Layout, SizeError> {
            let least = self.smallest(groups_of(blocks).max(1))?.image_size;
            Err(SizeError::TooSmall { size, least })
        };
        let Some((shape, blocks)) = self.shape_of(blocks)? else {
            return too_small();
        };
        let layout = self.place(shape, blocks);
        let fits = layout.geometry.metadata_end() <= blocks
            && layout.used_ranks <= layout.geometry.ranks_before(Block(blocks))
            && layout.free_blocks(blocks) >= self.free_blocks;
        if fits {
            Ok(Layout {
                blocks,
                image_size: size,
                ..layout
            })
        } else {
            too_small()
        }
    }

    /// The shape of a filesystem of so many blocks, and how many of them it takes: like
    /// mke2fs it leaves off a last group that would be too small. Nothing if the inodes
    /// do not fit.
    fn shape_of(&self, blocks: u64) -> Result<Option<(Shape, u64)>, SizeError> {
        for groups in [groups_of(blocks), groups_of(blocks).saturating_sub(1)] {
            if groups == 0 || groups * u64::from(MAX_INODES_PER_GROUP) < self.inodes {
                return Ok(None);
            }
            let shape = self
                .shape(groups)
                .ok_or(SizeError::TooManyBlocks { blocks })?;
            let blocks = blocks.min(Group(shape.groups).start().0);
            let in_last_group = blocks - Group(shape.groups - 1).start().0;
            if in_last_group >= shape.least_last_group_blocks() {
                return Ok(Some((shape, blocks)));
            }
        }
        Ok(None)
    }

    /// The shape of so many groups; nothing if there are too many.
    fn shape(&self, groups: u64) -> Option<Shape> {
        let groups = u32::try_from(groups)
            .ok()
            .filter(|groups| *groups < MAX_GROUPS)?;
        let by_ratio = u32_of(GROUP_BYTES) / self.options.inode_ratio.bytes();
        let needed = u32::try_from(self.inodes.div_ceil(u64::from(groups))).ok()?;
        let features = &self.options.features;
        Some(Shape {
            groups,
            inodes_per_group: by_ratio.max(needed).next_multiple_of(INODES_PER_BLOCK),
            groups_when_grown: if features.has(Feature::ResizeInode) {
                self.options.grow_to.groups()
            } else {
                0
            },
            descriptor_size: u32_of(if features.has(Feature::Bit64) {
                size_of::<GroupDescriptor>()
            } else {
                SHORT_GROUP_DESCRIPTOR_SIZE
            }),
            log_groups_per_flex: if features.has(Feature::FlexBg) {
                LOG_GROUPS_PER_FLEX
            } else {
                0
            },
        })
    }

    /// Blocks of the journal of a filesystem of so many blocks.
    fn journal_blocks(&self, blocks: u64) -> u64 {
        self.options
            .journal_size
            .map_or_else(|| journal::default_blocks(blocks), JournalSize::blocks)
            .into()
    }

    /// Gives everything its ranks, in whole groups, as many as they need. The journal
    /// is that of a filesystem of `blocks` blocks.
    fn place(&self, shape: Shape, blocks: u64) -> Layout {
        let geometry = Geometry::new(shape);
        let features = &self.options.features;
        let mut next = Rank(0);
        let mut tree_blocks = 0;
        if shape.reserved_descriptor_blocks() > 0 {
            next = next.after(1);
        }
        let mut allocate = |content: &Mapped, xattr_block: bool| {
            let allocation = Allocation::new(&geometry, next, content);
            next = allocation.end().after(u64::from(xattr_block));
            tree_blocks += allocation.tree_blocks;
            allocation
        };
        let journal = features
            .has(Feature::HasJournal)
            .then(|| allocate(&Mapped::All(self.journal_blocks(blocks)), false));
        let orphan_file = features
            .has(Feature::OrphanFile)
            .then(|| allocate(&Mapped::All(orphan::default_blocks(shape.groups)), false));
        let files = self
            .inventory
            .files()
            .iter()
            .map(|file| allocate(&file.content, file.xattr_block).first)
            .collect();
        Layout {
            blocks: Group(shape.groups).start().0,
            image_size: Group(shape.groups).start().offset(),
            frontier: geometry.block(next),
            used_ranks: next.0,
            geometry,
            tree_blocks,
            journal,
            orphan_file,
            files,
        }
    }
}

impl Allocation {
    /// The mapped blocks of a file from `first` on, and the extent tree that they need
    /// there.
    pub(super) fn new(geometry: &Geometry, first: Rank, content: &Mapped) -> Self {
        let content_blocks = content.blocks();
        let tree_blocks = if content_blocks <= extent::BLOCKS_WITHOUT_TREE {
            0
        } else {
            let available = geometry.capacity().saturating_sub(first.0);
            let runs = geometry.runs(first, content_blocks.min(available));
            extent::node_count(extents(content, runs).count())
        };
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

    /// The extents of the content.
    pub(super) fn extents(
        self,
        geometry: &Geometry,
        content: &Mapped,
    ) -> impl Iterator<Item = Extent> {
        extents(content, geometry.runs(self.first, self.content_blocks))
    }

    /// The blocks of the extent tree.
    pub(super) fn tree_runs(self, geometry: &Geometry) -> impl Iterator<Item = Run> {
        geometry.runs(self.first.after(self.content_blocks), self.tree_blocks)
    }
}

fn groups_of(blocks: u64) -> u64 {
    blocks.div_ceil(BLOCKS_PER_GROUP)
}

/// The first inode of `group`.
pub(super) fn first_inode(shape: Shape, group: Group) -> InodeNumber {
    InodeNumber(group.0 * shape.inodes_per_group + 1)
}

#[cfg(test)]
mod tests;
