//! The journal: empty, and as large as mke2fs would make it.

use super::format::{JOURNAL_MAGIC, JOURNAL_SUPERBLOCK_V2, JournalSuperblock, structure_at};
use super::options::Uuid;
use super::units::{BLOCK_SIZE, u32_of};
use crate::image::Encode;

/// The journal's own superblock, its first block; the rest is zero.
#[derive(Debug)]
pub(super) struct Superblock {
    pub uuid: Uuid,
    /// Blocks of the journal.
    pub blocks: u32,
}

/// Journal blocks for a filesystem of fewer blocks than the first number says: mke2fs'
/// table (`ext2fs_default_journal_size`), but never less than 16 MiB.
const SIZES: [(u64, u32); 7] = [
    (256 << 10, 4096),
    (512 << 10, 8192),
    (4 << 20, 16384),
    (8 << 20, 32768),
    (16 << 20, 65536),
    (32 << 20, 131_072),
    (u64::MAX, 262_144),
];

/// Blocks of the journal of a filesystem of so many blocks.
pub(super) fn default_blocks(filesystem_blocks: u64) -> u32 {
    SIZES
        .into_iter()
        .find_map(|(below, blocks)| (filesystem_blocks < below).then_some(blocks))
        .expect("no filesystem has 2^64 blocks")
}

impl Encode for Superblock {
    fn encode(&self, bytes: &mut [u8]) {
        let superblock: &mut JournalSuperblock = structure_at(bytes, 0);
        superblock.h_magic.set(JOURNAL_MAGIC);
        superblock.h_blocktype.set(JOURNAL_SUPERBLOCK_V2);
        superblock.s_blocksize.set(u32_of(BLOCK_SIZE));
        superblock.s_maxlen.set(self.blocks);
        superblock.s_first.set(1);
        superblock.s_sequence.set(1);
        superblock.s_uuid = self.uuid.0;
        superblock.s_nr_users.set(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_mke2fs_from_16_mib_on() {
        for (blocks, journal_mib) in [
            (1, 16),
            (262_143, 16),
            (262_144, 32),
            (524_288, 64),
            (4 << 20, 128),
            (32 << 20, 1024),
        ] {
            assert_eq!(
                (default_blocks(blocks) as usize * BLOCK_SIZE) >> 20,
                journal_mib
            );
        }
    }
}
