//! Extent trees: which blocks of a file are which blocks of the filesystem.
//!
//! Four extents fit into the inode; more lie in leaves of 340, with inner nodes
//! above them until four pointers are enough for the inode.
//!
//! Source: <https://docs.kernel.org/filesystems/ext4/dynamic.html#extent-tree>.

use std::ops::Range;

use zerocopy::IntoBytes;

use super::checksum::Checksum;
use super::format::{
    EXTENT_ENTRY_SIZE, EXTENT_MAGIC, EXTENT_MAX_BLOCKS, EXTENT_TAIL_OFFSET, EXTENTS_IN_BLOCK,
    EXTENTS_IN_INODE, ExtentHeader, ExtentIndex, ExtentLeaf, structure_at, zeroed,
};
use super::geometry::Run;
use super::units::{BLOCK_SIZE, Block, u16_of};

/// Adjacent blocks of a file that are adjacent on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first, counted from the start of the file.
    pub logical: u32,
    /// The same, counted from the start of the filesystem.
    pub physical: Block,
    /// At most [`EXTENT_MAX_BLOCKS`].
    pub blocks: u16,
}

/// The tree of one file's extents, with the blocks that it takes.
pub(super) struct ExtentTree {
    /// `i_block` of the inode.
    pub root: [u8; 60],
    /// The nodes outside of the inode, one a block.
    pub nodes: Vec<u8>,
}

/// Which blocks of a file are mapped; the others are holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mapped {
    /// All, from the first on.
    All(u64),
    /// These, in order, not touching one another.
    Ranges(Box<[Range<u64>]>),
}

/// The extents of a file whose mapped blocks lie in `runs`, one after the other.
pub(super) fn extents(
    mapped: &Mapped,
    mut runs: impl Iterator<Item = Run>,
) -> impl Iterator<Item = Extent> {
    let mut ranges = mapped.ranges();
    let mut range = 0..0;
    let mut run = Run {
        start: Block(0),
        length: 0,
    };
    std::iter::from_fn(move || {
        if range.is_empty() {
            range = ranges.next()?;
        }
        if run.length == 0 {
            run = runs.next()?;
        }
        let length = (range.end - range.start)
            .min(run.length)
            .min(EXTENT_MAX_BLOCKS);
        let extent = Extent {
            logical: u32::try_from(range.start).expect("larger files were refused"),
            physical: run.start,
            blocks: u16::try_from(length).expect("an extent has at most 32,768 blocks"),
        };
        range.start += length;
        run = run.split_at(length).1;
        Some(extent)
    })
}

impl Mapped {
    /// How many blocks are mapped.
    pub(super) fn blocks(&self) -> u64 {
        match self {
            Self::All(blocks) => *blocks,
            Self::Ranges(ranges) => ranges.iter().map(|range| range.end - range.start).sum(),
        }
    }

    fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        let (all, ranges) = match self {
            Self::All(blocks) => (Some(0..*blocks), [].as_slice()),
            Self::Ranges(ranges) => (None, &**ranges),
        };
        all.into_iter()
            .filter(|all| !all.is_empty())
            .chain(ranges.iter().cloned())
    }
}

/// Blocks of a file that need no tree wherever they lie: each may be an extent of its own.
pub(super) const BLOCKS_WITHOUT_TREE: u64 = EXTENTS_IN_INODE as u64;

/// Blocks of the tree of so many extents.
pub(super) fn node_count(extents: usize) -> u64 {
    levels(extents).into_iter().sum::<usize>() as u64
}

impl ExtentTree {
    /// Makes the tree of `extents`, whose nodes lie in `node_blocks`, as many as
    /// [`node_count`] says. `checksum` is the inode's.
    pub(super) fn encode(extents: &[Extent], node_blocks: &[Block], checksum: Checksum) -> Self {
        let mut nodes = Vec::with_capacity(node_blocks.len() * BLOCK_SIZE);
        let mut entries: Vec<_> = extents.iter().map(leaf_entry).collect();
        let mut depth = 0;
        let mut blocks = node_blocks.iter();
        while entries.len() > EXTENTS_IN_INODE {
            entries = entries
                .chunks(EXTENTS_IN_BLOCK)
                .map(|children| {
                    let block = *blocks.next().expect("node_count counted the nodes");
                    nodes.extend_from_slice(&encode_node(children, depth, checksum));
                    index_entry(children[0].logical, block)
                })
                .collect();
            depth += 1;
        }
        let mut root = [0; 60];
        encode_entries(&entries, depth, EXTENTS_IN_INODE, &mut root);
        Self { root, nodes }
    }
}

/// An entry of a node, with the first block of the file that it leads to.
struct NodeEntry {
    logical: u32,
    bytes: [u8; EXTENT_ENTRY_SIZE],
}

fn leaf_entry(extent: &Extent) -> NodeEntry {
    let mut leaf: ExtentLeaf = zeroed();
    leaf.ee_block.set(extent.logical);
    leaf.ee_len.set(extent.blocks);
    leaf.ee_start_hi.set(high_half(extent.physical));
    leaf.ee_start_lo.set(extent.physical.low());
    NodeEntry {
        logical: extent.logical,
        bytes: entry_bytes(&leaf),
    }
}

fn index_entry(logical: u32, child: Block) -> NodeEntry {
    let mut index: ExtentIndex = zeroed();
    index.ei_block.set(logical);
    index.ei_leaf_lo.set(child.low());
    index.ei_leaf_hi.set(high_half(child));
    NodeEntry {
        logical,
        bytes: entry_bytes(&index),
    }
}

fn entry_bytes(entry: &(impl IntoBytes + zerocopy::Immutable)) -> [u8; EXTENT_ENTRY_SIZE] {
    entry
        .as_bytes()
        .try_into()
        .expect("entries of both kinds have one size")
}

fn encode_node(entries: &[NodeEntry], depth: u16, checksum: Checksum) -> [u8; BLOCK_SIZE] {
    let mut block = [0; BLOCK_SIZE];
    encode_entries(entries, depth, EXTENTS_IN_BLOCK, &mut block);
    let sum = checksum.with(&block[..EXTENT_TAIL_OFFSET]).value();
    block[EXTENT_TAIL_OFFSET..][..4].copy_from_slice(&sum.to_le_bytes());
    block
}

fn encode_entries(entries: &[NodeEntry], depth: u16, max: usize, node: &mut [u8]) {
    let header: &mut ExtentHeader = structure_at(node, 0);
    header.eh_magic.set(EXTENT_MAGIC);
    header.eh_entries.set(u16_of(entries.len()));
    header.eh_max.set(u16_of(max));
    header.eh_depth.set(depth);
    for (entry, bytes) in entries
        .iter()
        .zip(node.chunks_exact_mut(EXTENT_ENTRY_SIZE).skip(1))
    {
        bytes.copy_from_slice(&entry.bytes);
    }
}

/// Nodes outside of the inode on each level, the leaves first.
fn levels(extents: usize) -> Vec<usize> {
    let mut levels = Vec::new();
    let mut entries = extents;
    while entries > EXTENTS_IN_INODE {
        entries = entries.div_ceil(EXTENTS_IN_BLOCK);
        levels.push(entries);
    }
    levels
}

fn high_half(block: Block) -> u16 {
    u16::try_from(block.high()).expect("a filesystem has fewer than 2^48 blocks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_a_level_more_where_a_level_is_full() {
        assert_eq!(levels(0), [0; 0]);
        assert_eq!(levels(4), [0; 0]);
        assert_eq!(levels(5), [1]);
        assert_eq!(levels(340), [1]);
        assert_eq!(levels(341), [2]);
        assert_eq!(levels(4 * 340), [4]);
        assert_eq!(levels(4 * 340 + 1), [5, 1]);
        assert_eq!(levels(4 * 340 * 340), [1360, 4]);
        assert_eq!(levels(4 * 340 * 340 + 1), [1361, 5, 1]);
    }

    #[test]
    fn long_runs_are_cut_into_extents_of_128_mib() {
        let run = Run {
            start: Block(100),
            length: 2 * EXTENT_MAX_BLOCKS + 1,
        };
        let extents: Vec<_> = extents(&Mapped::All(run.length), [run].into_iter()).collect();
        assert_eq!(
            extents
                .iter()
                .map(|extent| extent.blocks)
                .collect::<Vec<_>>(),
            [32768, 32768, 1]
        );
        assert_eq!(
            extents[2],
            Extent {
                logical: 65536,
                physical: Block(65636),
                blocks: 1
            }
        );
    }

    #[test]
    fn holes_are_passed_over() {
        let runs = [
            Run {
                start: Block(10),
                length: 3,
            },
            Run {
                start: Block(20),
                length: 4,
            },
        ];
        let mapped = Mapped::Ranges([0..1, 5..8, 100..103].into());
        let extents: Vec<_> = extents(&mapped, runs.into_iter())
            .map(|extent| (extent.logical, extent.physical.0, extent.blocks))
            .collect();
        assert_eq!(extents, [(0, 10, 1), (5, 11, 2), (7, 20, 1), (100, 21, 3)]);
        assert_eq!(mapped.blocks(), 7);
    }

    #[test]
    fn every_node_is_full_but_the_last_of_its_level() {
        let extents: Vec<_> = (0..=4 * 340)
            .map(|i| Extent {
                logical: i,
                physical: Block(u64::from(2 * i)),
                blocks: 1,
            })
            .collect();
        let blocks: Vec<_> = (0..node_count(extents.len())).map(Block).collect();
        let tree = ExtentTree::encode(&extents, &blocks, Checksum::START);
        let entries: Vec<_> = tree
            .nodes
            .chunks(BLOCK_SIZE)
            .map(|node| u16::from_le_bytes([node[2], node[3]]))
            .collect();
        assert_eq!(entries, [340, 340, 340, 340, 1, 5]);
        assert_eq!(tree.root[6..8], [2, 0], "the depth");
    }

    /// A tree read back, node by node, from the bytes alone.
    struct Reader<'a> {
        nodes: &'a [u8],
        /// The block of the first node; the others follow.
        first: u64,
        checksum: Checksum,
        /// Nodes that were read.
        count: u64,
        found: Vec<Extent>,
    }

    impl Reader<'_> {
        fn read(&mut self, node: &[u8], max: u16, depth: u16) {
            let u16_at = |at: usize| u16::from_le_bytes([node[at], node[at + 1]]);
            let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
            assert_eq!([u16_at(0), u16_at(4), u16_at(6)], [0xF30A, max, depth]);
            assert!(u16_at(2) <= max);
            for at in (1..=usize::from(u16_at(2))).map(|entry| 12 * entry) {
                let logical = u32_at(at);
                if depth == 0 {
                    let physical = u64::from(u16_at(at + 6)) << 32 | u64::from(u32_at(at + 8));
                    self.found.push(Extent {
                        logical,
                        physical: Block(physical),
                        blocks: u16_at(at + 4),
                    });
                    continue;
                }
                let block = u64::from(u16_at(at + 8)) << 32 | u64::from(u32_at(at + 4));
                let index = usize::try_from(block - self.first).unwrap();
                let child = &self.nodes[index * BLOCK_SIZE..][..BLOCK_SIZE];
                let sum = self.checksum.with(&child[..4092]).value();
                assert_eq!(child[4092..], sum.to_le_bytes());
                assert_eq!(child[12..16], logical.to_le_bytes(), "its first block");
                self.count += 1;
                self.read(child, 340, depth - 1);
            }
        }
    }

    #[test]
    fn trees_of_every_depth_map_what_they_were_made_of() {
        const LEAVES: usize = 4 * 340;
        const INNER: usize = LEAVES * 340;
        for (count, depth) in [
            (0, 0),
            (1, 0),
            (4, 0),
            (5, 1),
            (340, 1),
            (341, 1),
            (LEAVES, 1),
            (LEAVES + 1, 2),
            (340 * 340, 2),
            (340 * 340 + 1, 2),
            (INNER - 340, 2),
            (INNER, 2),
            (INNER + 1, 3),
            (INNER + 340 * 340 + 1, 3),
        ] {
            let extents: Vec<_> = (0..u32::try_from(count).unwrap())
                .map(|i| Extent {
                    logical: 3 * i,
                    physical: Block((1 << 33) + 5 * u64::from(i)),
                    blocks: 1 + u16::try_from(i % 2).unwrap(),
                })
                .collect();
            let first = (1 << 40) + 7;
            let node_blocks: Vec<_> = (first..first + node_count(count)).map(Block).collect();
            let checksum = Checksum::START.with_u32(12);
            let tree = ExtentTree::encode(&extents, &node_blocks, checksum);
            assert_eq!(tree.nodes.len(), node_blocks.len() * BLOCK_SIZE);
            let mut reader = Reader {
                nodes: &tree.nodes,
                first,
                checksum,
                count: 0,
                found: Vec::new(),
            };
            reader.read(&tree.root, 4, depth);
            assert_eq!(reader.count, node_count(count), "{count}");
            assert!(reader.found == extents, "{count}");
        }
    }
}
