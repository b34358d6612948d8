//! The orphan file: room for the numbers of inodes that are open and have no name, so
//! that many threads can delete files at once.
//!
//! Source: <https://docs.kernel.org/filesystems/ext4/orphan.html>.

use super::checksum::Checksum;
use super::format::{ORPHAN_BLOCK_MAGIC, OrphanBlockTail, structure_at};
use super::units::{BLOCK_SIZE, BLOCKS_PER_GROUP, Block};

/// Groups of a disk of 512 MiB and of 8 GiB.
const SMALL_GROUPS: u64 = 4;
const LARGE_GROUPS: u64 = 64;

/// Blocks of the file in a filesystem of so many groups: mke2fs' choice
/// (`ext2fs_default_orphan_file_blocks`) for whole groups.
pub(super) fn default_blocks(groups: u32) -> u64 {
    match u64::from(groups) {
        0..SMALL_GROUPS => 32,
        groups @ SMALL_GROUPS..LARGE_GROUPS => groups * BLOCKS_PER_GROUP / 4096,
        LARGE_GROUPS.. => 512,
    }
}

/// Fills a block of the file, which stands at `at`, with no orphans. `checksum` is its
/// inode's.
pub(super) fn encode_block(at: Block, checksum: Checksum, block: &mut [u8]) {
    let entries = BLOCK_SIZE - size_of::<OrphanBlockTail>();
    let sum = checksum
        .with(&at.0.to_le_bytes())
        .with(&block[..entries])
        .value();
    let tail: &mut OrphanBlockTail = structure_at(block, entries);
    tail.ob_magic.set(ORPHAN_BLOCK_MAGIC);
    tail.ob_checksum.set(sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_mke2fs() {
        assert_eq!(
            [1, 3, 4, 63, 64, 1000].map(default_blocks),
            [32, 32, 32, 504, 512, 512]
        );
    }
}
