//! The resize inode: it holds the blocks into which the group descriptors can grow,
//! so that a kernel can add groups to a mounted filesystem.
//!
//! Its double-indirect block points to the reserved blocks behind the primary
//! descriptors, and each of those to its copies in the backup groups
//! (`lib/ext2fs/res_gdt.c`).

use super::geometry::Shape;
use super::units::{BLOCK_BYTES, BLOCK_SIZE, BLOCKS_PER_GROUP, Block};
use crate::image::Encode;

/// Pointers of an indirect block.
const POINTERS: usize = BLOCK_SIZE / size_of::<u32>();
/// Blocks that `i_block` points to directly.
const DIRECT_BLOCKS: usize = 12;
/// The place in `i_block` of the double-indirect block.
const DOUBLE_INDIRECT: usize = 13;

/// `i_size`: as if all blocks up to the last of the double-indirect one were there.
pub(super) const SIZE: u64 =
    ((POINTERS * POINTERS + POINTERS + DIRECT_BLOCKS) as u64) * BLOCK_BYTES;

/// `i_block` of the inode.
pub(super) fn block_map(double_indirect: Block) -> [u8; 60] {
    let mut map = [0; 60];
    map[DOUBLE_INDIRECT * 4..][..4].copy_from_slice(&pointer(double_indirect));
    map
}

/// All blocks of the inode: the double-indirect one, the reserved ones, their copies.
pub(super) fn block_count(shape: Shape) -> u64 {
    1 + u64::from(shape.reserved_descriptor_blocks()) * shape.superblock_groups().count() as u64
}

/// The double-indirect block: each reserved block stands at the place that its
/// descriptors will have among all, counted round.
#[derive(Debug)]
pub(super) struct DoubleIndirect(pub Shape);

impl Encode for DoubleIndirect {
    fn encode(&self, bytes: &mut [u8]) {
        let (pointers, _) = bytes.as_chunks_mut::<4>();
        for (place, block) in reserved_blocks(self.0).enumerate() {
            let place = place + self.0.descriptor_blocks() as usize;
            pointers[place % POINTERS] = pointer(block);
        }
    }
}

/// The reserved blocks behind the primary descriptors.
#[derive(Debug)]
pub(super) struct Reserved(pub Shape);

impl Encode for Reserved {
    fn encode(&self, bytes: &mut [u8]) {
        let backups: Vec<_> = self.0.superblock_groups().skip(1).collect();
        for (block, bytes) in reserved_blocks(self.0).zip(bytes.chunks_exact_mut(BLOCK_SIZE)) {
            let (pointers, _) = bytes.as_chunks_mut::<4>();
            for (to, group) in pointers.iter_mut().zip(&backups) {
                *to = pointer(Block(block.0 + u64::from(group.0) * BLOCKS_PER_GROUP));
            }
        }
    }
}

/// The reserved blocks behind the primary descriptors, in order.
fn reserved_blocks(shape: Shape) -> impl Iterator<Item = Block> {
    let first = u64::from(1 + shape.descriptor_blocks());
    (0..u64::from(shape.reserved_descriptor_blocks())).map(move |i| Block(first + i))
}

fn pointer(block: Block) -> [u8; 4] {
    assert_eq!(
        block.high(),
        0,
        "a filesystem with a resize inode has fewer than 2^32 blocks"
    );
    block.low().to_le_bytes()
}
