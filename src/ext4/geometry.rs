//! Where the metadata of the block groups lies, and so which blocks are left.
//!
//! ```text
//!  group 0                                          group 1         group 2
//! ┌──────────┬──────────┬─────────────────────────┬──────────┬────┬──────────────┐
//! │super and │ reserved │ block bitmaps, inode    │ backup of│    │              │
//! │group de- │ descrip- │ bitmaps and inode tables│ super …  │ …  │ …            │
//! │scriptors │ tors     │ of groups 0 to 15       │          │    │              │
//! └──────────┴──────────┴─────────────────────────┴──────────┴────┴──────────────┘
//! ```
//!
//! The bitmaps and tables of 16 groups lie in the first of them (`flex_bg`); backups
//! of the superblock in groups 1 and the powers of 3, 5 and 7 (`sparse_super`). What
//! is left is numbered by [`Rank`], and files are laid out in ranks. All of this
//! follows from a [`Shape`] by arithmetic.

use std::ops::Range;

use super::units::{BLOCK_SIZE, BLOCKS_PER_GROUP, Block, Group, INODES_PER_BLOCK, Rank, u32_of};

/// The most reserved descriptor blocks: as many as one block has pointers to.
const MAX_RESERVED_DESCRIPTOR_BLOCKS: u32 = u32_of(BLOCK_SIZE / size_of::<u32>());

/// Blocks that mke2fs wants in a last group beyond its metadata; it leaves off one
/// that has fewer.
const LAST_GROUP_SPARE_BLOCKS: u64 = 50;

/// What determines the geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Block groups, the last of which may be cut short.
    pub groups: u32,
    /// Inodes in each group: a multiple of [`INODES_PER_BLOCK`].
    pub inodes_per_group: u32,
    /// Block groups for which descriptors are reserved: those of the disk that the
    /// filesystem may grow to; 0 without `resize_inode`.
    pub groups_when_grown: u32,
    /// Bytes of a group descriptor.
    pub descriptor_size: u32,
    /// Groups whose metadata lies together, as a power of 2: 0 without `flex_bg`.
    pub log_groups_per_flex: u8,
}

/// The places of all groups' metadata, for groups that are whole.
#[derive(Debug)]
pub(super) struct Geometry {
    shape: Shape,
    /// By group.
    metadata: Vec<GroupMetadata>,
    /// The blocks between metadata, in order.
    runs: Vec<RankedRun>,
}

/// Where the bitmaps and the inode table of a group begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupMetadata {
    pub block_bitmap: Block,
    pub inode_bitmap: Block,
    pub inode_table: Block,
}

/// Adjacent blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub start: Block,
    pub length: u64,
}

/// Adjacent blocks without metadata, and the rank of the first.
#[derive(Clone, Copy, Debug)]
struct RankedRun {
    rank: Rank,
    run: Run,
}

impl Run {
    /// The first `length` blocks, and the rest.
    pub(super) fn split_at(self, length: u64) -> (Self, Self) {
        let rest = Self {
            start: Block(self.start.0 + length),
            length: self.length - length,
        };
        (Self { length, ..self }, rest)
    }
}

impl Shape {
    /// Blocks of the group descriptors.
    pub(super) fn descriptor_blocks(self) -> u32 {
        self.groups.div_ceil(self.descriptors_per_block())
    }

    /// Blocks behind the group descriptors into which they can grow.
    pub(super) fn reserved_descriptor_blocks(self) -> u32 {
        self.groups_when_grown
            .div_ceil(self.descriptors_per_block())
            .saturating_sub(self.descriptor_blocks())
            .min(MAX_RESERVED_DESCRIPTOR_BLOCKS)
    }

    fn descriptors_per_block(self) -> u32 {
        u32_of(BLOCK_SIZE) / self.descriptor_size
    }

    /// Groups whose metadata lies together.
    fn groups_per_flex(self) -> u32 {
        1 << self.log_groups_per_flex
    }

    /// Blocks of a group's inode table.
    pub(super) fn inode_table_blocks(self) -> u64 {
        u64::from(self.inodes_per_group / INODES_PER_BLOCK)
    }

    /// Blocks of a copy of the superblock with its descriptors.
    fn backup_blocks(self) -> u64 {
        u64::from(1 + self.descriptor_blocks() + self.reserved_descriptor_blocks())
    }

    /// The superblock and descriptors at the start of `group`, or nothing.
    pub(super) fn superblock_run(self, group: Group) -> Option<Run> {
        has_superblock(group).then(|| Run {
            start: group.start(),
            length: self.backup_blocks(),
        })
    }

    /// The groups with a superblock, the primary's first.
    pub(super) fn superblock_groups(self) -> impl Iterator<Item = Group> {
        (0..self.groups)
            .map(Group)
            .filter(|&group| has_superblock(group))
    }

    /// The fewest blocks that the last group may have: mke2fs and resize2fs leave off
    /// a group that has fewer.
    pub(super) fn least_last_group_blocks(self) -> u64 {
        if self.groups == 1 {
            return 1;
        }
        let last = Group(self.groups - 1);
        2 + self.inode_table_blocks()
            + LAST_GROUP_SPARE_BLOCKS
            + self.superblock_run(last).map_or(0, |run| run.length)
    }
}

impl Geometry {
    /// Places the metadata of all groups.
    pub(super) fn new(shape: Shape) -> Self {
        let mut metadata = Vec::with_capacity(shape.groups as usize);
        let mut taken: Vec<Range<u64>> = Vec::new();
        for first in (0..shape.groups).step_by(1 << shape.log_groups_per_flex) {
            let groups = first..shape.groups.min(first + shape.groups_per_flex());
            let count = groups.len();
            let mut next = Placement {
                shape,
                at: Group(first).start().0,
                taken: &mut taken,
            };
            let block_bitmaps: Vec<_> = (0..count).map(|_| next.place(1)).collect();
            let inode_bitmaps: Vec<_> = (0..count).map(|_| next.place(1)).collect();
            for (block_bitmap, inode_bitmap) in block_bitmaps.into_iter().zip(inode_bitmaps) {
                metadata.push(GroupMetadata {
                    block_bitmap,
                    inode_bitmap,
                    inode_table: next.place(shape.inode_table_blocks()),
                });
            }
        }
        taken.extend(shape.superblock_groups().filter_map(|group| {
            let run = shape.superblock_run(group)?;
            Some(run.start.0..run.start.0 + run.length)
        }));
        taken.sort_by_key(|range| range.start);
        let runs = runs_between(&taken, Group(shape.groups).start().0);
        Self {
            shape,
            metadata,
            runs,
        }
    }

    /// What the geometry follows from.
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Where the metadata of `group` lies.
    pub(super) fn metadata(&self, group: Group) -> GroupMetadata {
        self.metadata[group.index()]
    }

    /// Blocks without metadata, if all groups are whole.
    pub(super) fn capacity(&self) -> u64 {
        self.runs
            .last()
            .map_or(0, |last| last.rank.0 + last.run.length)
    }

    /// The end of the last group's metadata: no filesystem of this shape is smaller.
    pub(super) fn metadata_end(&self) -> u64 {
        self.metadata.last().map_or(0, |last| {
            last.inode_table.0 + self.shape.inode_table_blocks()
        })
    }

    /// The block of `rank`; of the rank behind the last, the end of the last group.
    pub(super) fn block(&self, rank: Rank) -> Block {
        match self.run_index(rank) {
            Some(index) => {
                let RankedRun { rank: first, run } = self.runs[index];
                Block(run.start.0 + (rank.0 - first.0))
            }
            None => Group(self.shape.groups).start(),
        }
    }

    /// How many blocks without metadata stand before `block`.
    pub(super) fn ranks_before(&self, block: Block) -> u64 {
        let index = self
            .runs
            .partition_point(|ranked| ranked.run.start <= block);
        match index.checked_sub(1) {
            Some(index) => {
                let RankedRun { rank, run } = self.runs[index];
                rank.0 + run.length.min(block.0 - run.start.0)
            }
            None => 0,
        }
    }

    /// The runs of adjacent blocks that make up `blocks` ranks from `first` on.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub(super) fn runs(&self, first: Rank, blocks: u64) -> impl Iterator<Item = Run> {
        let mut rank = first;
        let mut left = blocks;
        let mut index = self.run_index(first);
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let at = index.expect("the layout asks for no more ranks than there are");
            let ranked = self.runs[at];
            let skip = rank.0 - ranked.rank.0;
            let length = left.min(ranked.run.length - skip);
            rank = rank.after(length);
            left -= length;
            index = (at + 1 < self.runs.len()).then_some(at + 1);
            Some(Run {
                start: Block(ranked.run.start.0 + skip),
                length,
            })
        })
    }

    /// Whether all metadata in `group` is its own: what the kernel assumes of a group
    /// whose block bitmap is not written.
    pub(super) fn holds_only_its_own(&self, group: Group) -> bool {
        let tables = if self.shape.log_groups_per_flex == 0 {
            2 + self.shape.inode_table_blocks()
        } else {
            0
        };
        let own = self.shape.superblock_run(group).map_or(0, |run| run.length) + tables;
        let (start, end) = (group.start(), Group(group.0 + 1).start());
        self.ranks_before(end) - self.ranks_before(start) == BLOCKS_PER_GROUP - own
    }

    /// The place of the run that `rank` is in; nothing behind the last.
    fn run_index(&self, rank: Rank) -> Option<usize> {
        let index = self
            .runs
            .partition_point(|ranked| ranked.rank <= rank)
            .checked_sub(1)?;
        let last = self.runs[index];
        (rank.0 < last.rank.0 + last.run.length).then_some(index)
    }
}

/// Places metadata, one after the other, around the superblocks.
struct Placement<'a> {
    shape: Shape,
    at: u64,
    taken: &'a mut Vec<Range<u64>>,
}

impl Placement<'_> {
    /// `blocks` adjacent blocks.
    fn place(&mut self, blocks: u64) -> Block {
        let start = self.clear_of_superblocks(blocks);
        self.at = start + blocks;
        match self.taken.last_mut() {
            Some(last) if last.end == start => last.end = self.at,
            _ => self.taken.push(start..self.at),
        }
        Block(start)
    }

    /// The next place that meets no superblock in its first group nor in the one that
    /// it may reach into.
    fn clear_of_superblocks(&self, blocks: u64) -> u64 {
        let mut start = self.at;
        loop {
            let meets = [start, start + blocks - 1].into_iter().find_map(|block| {
                let group = u32::try_from(block / BLOCKS_PER_GROUP).ok().map(Group)?;
                let run = self.shape.superblock_run(group)?;
                let end = run.start.0 + run.length;
                (start < end && run.start.0 < start + blocks).then_some(end)
            });
            match meets {
                Some(end) => start = end,
                None => return start,
            }
        }
    }
}

/// The blocks below `end` that no range of `taken` holds, in order.
fn runs_between(taken: &[Range<u64>], end: u64) -> Vec<RankedRun> {
    let mut runs = Vec::new();
    let mut at = 0;
    let mut rank = 0;
    for (start, next) in taken
        .iter()
        .map(|range| (range.start, range.end))
        .chain([(end, end)])
    {
        if start > at {
            let length = start - at;
            runs.push(RankedRun {
                rank: Rank(rank),
                run: Run {
                    start: Block(at),
                    length,
                },
            });
            rank += length;
        }
        at = next;
    }
    runs
}

/// Whether `sparse_super` puts a superblock into `group`.
fn has_superblock(group: Group) -> bool {
    group.0 <= 1 || [3, 5, 7].into_iter().any(|base| is_power(group.0, base))
}

/// Whether `number`, above 0, is a power of `base`.
fn is_power(mut number: u32, base: u32) -> bool {
    while number.is_multiple_of(base) {
        number /= base;
    }
    number == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(groups: u32, inodes_per_group: u32) -> Shape {
        Shape {
            groups,
            inodes_per_group,
            groups_when_grown: 32768,
            descriptor_size: 64,
            log_groups_per_flex: 4,
        }
    }

    #[test]
    fn superblocks_are_where_sparse_super_wants_them() {
        let groups: Vec<_> = shape(130, 8192)
            .superblock_groups()
            .map(|group| group.0)
            .collect();
        assert_eq!(groups, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125]);
    }

    #[test]
    fn descriptors_are_reserved_for_the_grown_disk() {
        assert_eq!(shape(16, 8192).reserved_descriptor_blocks(), 511);
        assert_eq!(shape(32768, 8192).reserved_descriptor_blocks(), 0);
        assert_eq!(shape(65536, 8192).reserved_descriptor_blocks(), 0);
    }

    /// As `dumpe2fs` shows mke2fs' own layout of 12 groups with 187 reserved blocks.
    #[test]
    fn metadata_lies_as_mke2fs_lays_it() {
        let geometry = Geometry::new(Shape {
            groups: 12,
            inodes_per_group: 8000,
            groups_when_grown: 188 * 64,
            descriptor_size: 64,
            log_groups_per_flex: 4,
        });
        assert_eq!(
            geometry.metadata(Group(0)),
            GroupMetadata {
                block_bitmap: Block(189),
                inode_bitmap: Block(201),
                inode_table: Block(213),
            }
        );
        assert_eq!(
            geometry.metadata(Group(6)),
            GroupMetadata {
                block_bitmap: Block(195),
                inode_bitmap: Block(207),
                inode_table: Block(3213),
            }
        );
        assert_eq!(geometry.block(Rank(0)), Block(213 + 12 * 500));
    }

    proptest! {
        #[test]
        fn no_block_is_given_twice(
            groups in 1..200_u32,
            table_blocks in 1..=2048_u32,
            log_groups_per_flex in prop_oneof![Just(0_u8), Just(4)],
        ) {
            let shape = Shape { log_groups_per_flex, ..shape(groups, table_blocks * INODES_PER_BLOCK) };
            let geometry = Geometry::new(shape);
            let mut ranges: Vec<Range<u64>> = Vec::new();
            let mut give = |start: Block, length: u64| ranges.push(start.0..start.0 + length);
            for group in (0..groups).map(Group) {
                let metadata = geometry.metadata(group);
                give(metadata.block_bitmap, 1);
                give(metadata.inode_bitmap, 1);
                give(metadata.inode_table, shape.inode_table_blocks());
                if let Some(run) = shape.superblock_run(group) {
                    give(run.start, run.length);
                }
            }
            for run in geometry.runs(Rank(0), geometry.capacity()) {
                give(run.start, run.length);
            }
            ranges.sort_by_key(|range| range.start);
            let mut end = 0;
            for range in ranges {
                prop_assert_eq!(range.start, end);
                end = range.end;
            }
            prop_assert_eq!(end, Group(groups).start().0);
        }

        #[test]
        fn ranks_and_blocks_agree(groups in 1..40_u32, table_blocks in 1..=2048_u32, at in 0.0..1.0_f64) {
            let geometry = Geometry::new(shape(groups, table_blocks * INODES_PER_BLOCK));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let rank = Rank((geometry.capacity() as f64 * at) as u64);
            let block = geometry.block(rank);
            prop_assert_eq!(geometry.ranks_before(block), rank.0);
            let run = geometry.runs(rank, 1).next().unwrap();
            prop_assert_eq!(run, Run { start: block, length: 1 });
        }
    }
}
