//! Block groups: their bitmaps and descriptors.
//!
//! Inodes are numbered, and blocks taken, from the start on. So a bitmap is a row of
//! ones up to a bound, and then what metadata adds to it.

use std::mem::offset_of;

use zerocopy::IntoBytes;

use super::checksum::Checksum;
use super::format::{BG_BLOCK_UNINIT, BG_INODE_UNINIT, GroupDescriptor, zeroed};
use super::inventory::{Inventory, number_at};
use super::layout::{Layout, first_inode};
use super::options::Uuid;
use super::units::{BLOCK_SIZE, BLOCKS_PER_GROUP, Block, Group};
use crate::tree::Tree;

/// What a group consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub free_blocks: u64,
    /// Inodes in use: the first ones.
    pub used_inodes: u32,
    pub directories: u32,
    /// Whether the block bitmap is left to the kernel.
    pub block_bitmap_implied: bool,
    /// Whether unused inodes, and the bitmap of a group without others, are.
    pub inodes_implied: bool,
}

/// How descriptors are checksummed; which says too whether a group's tables may be
/// left to the kernel, for it trusts the flags only then.
#[derive(Clone, Copy, Debug)]
pub(super) enum DescriptorChecksum {
    /// Not at all.
    None,
    /// With 16 bits, for `uninit_bg`.
    Crc16(Uuid),
    /// With half of the filesystem's checksum, for `metadata_csum`.
    Crc32c(Checksum),
}

/// The usage of every group.
pub(super) fn usage(
    layout: &Layout,
    inventory: &Inventory,
    tree: &Tree,
    checksum: DescriptorChecksum,
) -> Vec<Usage> {
    let shape = layout.geometry.shape();
    let last_inode = inventory.last_number();
    let mut usage: Vec<_> = (0..shape.groups)
        .map(Group)
        .map(|group| {
            let before = first_inode(shape, group).0 - 1;
            let end = group_end(layout, group);
            let free_from = layout.frontier.clamp(group.start(), end);
            Usage {
                free_blocks: layout.geometry.ranks_before(end)
                    - layout.geometry.ranks_before(free_from),
                used_inodes: last_inode
                    .0
                    .saturating_sub(before)
                    .min(shape.inodes_per_group),
                directories: 0,
                // mke2fs always writes the last group's, for its padding.
                block_bitmap_implied: checksum.allows_implied_tables()
                    && group.0 + 1 < shape.groups
                    && layout.frontier <= group.start()
                    && layout.geometry.holds_only_its_own(group),
                inodes_implied: checksum.allows_implied_tables(),
            }
        })
        .collect();
    for (index, file) in inventory.files().iter().enumerate() {
        if tree.node(file.node).is_directory() {
            let group = (number_at(index).0 - 1) / shape.inodes_per_group;
            usage[group as usize].directories += 1;
        }
    }
    usage
}

impl Usage {
    /// Whether the inode bitmap is left to the kernel.
    pub(super) fn inode_bitmap_implied(&self) -> bool {
        self.inodes_implied && self.used_inodes == 0
    }
}

impl DescriptorChecksum {
    fn allows_implied_tables(self) -> bool {
        !matches!(self, Self::None)
    }

    /// `bg_checksum` of a descriptor, in which it is still 0.
    fn of(self, group: Group, descriptor: &[u8]) -> u16 {
        match self {
            Self::None => 0,
            Self::Crc16(uuid) => {
                // The field itself is passed over, not counted as zeros.
                let field = offset_of!(GroupDescriptor, bg_checksum);
                let mut digest = CRC16.digest();
                digest.update(&uuid.0);
                digest.update(&group.0.to_le_bytes());
                digest.update(&descriptor[..field]);
                digest.update(&descriptor[field + size_of::<u16>()..]);
                digest.finalize()
            }
            Self::Crc32c(checksum) => checksum.with_u32(group.0).with(descriptor).low(),
        }
    }
}

/// The CRC of `uninit_bg`: the kernel's `crc16`, begun with all ones.
const CRC16: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_MODBUS);

/// A block bitmap: one bit for each block of the group, and ones for those that it
/// does not have.
pub(super) fn encode_block_bitmap(layout: &Layout, group: Group, bitmap: &mut [u8]) {
    let (start, end) = (group.start(), group_end(layout, group));
    set_bits(bitmap, 0..BLOCKS_PER_GROUP);
    let free_from = layout.frontier.clamp(start, end);
    let first = layout.geometry.ranks_before(free_from);
    let free = layout.geometry.ranks_before(end) - first;
    for run in layout.geometry.runs(super::units::Rank(first), free) {
        let from = run.start.0 - start.0;
        clear_bits(bitmap, from..from + run.length);
    }
}

/// An inode bitmap: one bit for each inode of the group, then ones to the end.
pub(super) fn encode_inode_bitmap(layout: &Layout, usage: Usage, bitmap: &mut [u8]) {
    set_bits(bitmap, 0..u64::from(usage.used_inodes));
    let padding = u64::from(layout.geometry.shape().inodes_per_group);
    set_bits(bitmap, padding..BLOCKS_PER_GROUP);
}

/// All group descriptors, in whole blocks. `checksum` is the filesystem's.
pub(super) fn encode_descriptors(
    layout: &Layout,
    usage: &[Usage],
    checksum: Checksum,
    descriptor_checksum: DescriptorChecksum,
) -> Vec<u8> {
    let shape = layout.geometry.shape();
    let mut table = vec![0; shape.descriptor_blocks() as usize * BLOCK_SIZE];
    for ((group, usage), bytes) in (0..shape.groups)
        .map(Group)
        .zip(usage)
        .zip(table.chunks_exact_mut(shape.descriptor_size as usize))
    {
        let mut descriptor = descriptor(layout, group, *usage, checksum);
        let sum = descriptor_checksum.of(group, &descriptor.as_bytes()[..bytes.len()]);
        descriptor.bg_checksum.set(sum);
        bytes.copy_from_slice(&descriptor.as_bytes()[..bytes.len()]);
    }
    table
}

/// A descriptor, but for its checksum.
fn descriptor(layout: &Layout, group: Group, usage: Usage, checksum: Checksum) -> GroupDescriptor {
    let inodes = layout.geometry.shape().inodes_per_group;
    let places = layout.geometry.metadata(group);
    let mut d: GroupDescriptor = zeroed();
    d.bg_block_bitmap_lo.set(places.block_bitmap.low());
    d.bg_block_bitmap_hi.set(places.block_bitmap.high());
    d.bg_inode_bitmap_lo.set(places.inode_bitmap.low());
    d.bg_inode_bitmap_hi.set(places.inode_bitmap.high());
    d.bg_inode_table_lo.set(places.inode_table.low());
    d.bg_inode_table_hi.set(places.inode_table.high());
    // A group has at most 32,768 of each, so that the high halves stay zero.
    let free_inodes = half((inodes - usage.used_inodes).into());
    d.bg_free_blocks_count_lo.set(half(usage.free_blocks));
    d.bg_free_inodes_count_lo.set(free_inodes);
    d.bg_used_dirs_count_lo.set(half(usage.directories.into()));
    if usage.inodes_implied {
        d.bg_itable_unused_lo.set(free_inodes);
    }

    let mut flags = 0;
    let mut bitmap = [0; BLOCK_SIZE];
    if usage.block_bitmap_implied {
        flags |= BG_BLOCK_UNINIT;
    } else {
        encode_block_bitmap(layout, group, &mut bitmap);
        let sum = checksum.with(&bitmap);
        d.bg_block_bitmap_csum_lo.set(sum.low());
        d.bg_block_bitmap_csum_hi.set(sum.high());
    }
    if usage.inode_bitmap_implied() {
        flags |= BG_INODE_UNINIT;
    } else {
        bitmap.fill(0);
        encode_inode_bitmap(layout, usage, &mut bitmap);
        let sum = checksum.with(&bitmap[..inodes as usize / 8]);
        d.bg_inode_bitmap_csum_lo.set(sum.low());
        d.bg_inode_bitmap_csum_hi.set(sum.high());
    }
    d.bg_flags.set(flags);
    d
}

/// The end of `group`, which for the last one is the filesystem's.
fn group_end(layout: &Layout, group: Group) -> Block {
    Block(layout.blocks).min(Group(group.0 + 1).start())
}

fn half(value: u64) -> u16 {
    u16::try_from(value).expect("a group has at most 32,768 blocks and inodes")
}

fn set_bits(bitmap: &mut [u8], bits: std::ops::Range<u64>) {
    change_bits(bitmap, bits, |byte, mask| *byte |= mask);
}

fn clear_bits(bitmap: &mut [u8], bits: std::ops::Range<u64>) {
    change_bits(bitmap, bits, |byte, mask| *byte &= !mask);
}

fn change_bits(bitmap: &mut [u8], bits: std::ops::Range<u64>, change: impl Fn(&mut u8, u8)) {
    let mut bit = bits.start;
    while bit < bits.end {
        let in_byte = bit % 8;
        let count = (8 - in_byte).min(bits.end - bit);
        let mask = (0xFF_u8 >> (8 - count)) << in_byte;
        let index = usize::try_from(bit / 8).expect("a bitmap is in memory");
        change(&mut bitmap[index], mask);
        bit += count;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_are_set_and_cleared_one_by_one(from in 0..200_u64, length in 0..200_u64) {
            let range = from..from + length;
            let (mut set, mut cleared) = ([0_u8; 64], [0xFF_u8; 64]);
            set_bits(&mut set, range.clone());
            clear_bits(&mut cleared, range.clone());
            for bit in 0..512_u64 {
                let is_set = |bytes: &[u8]| bytes[usize::try_from(bit / 8).unwrap()] >> (bit % 8) & 1 == 1;
                prop_assert_eq!(is_set(&set), range.contains(&bit));
                prop_assert_eq!(is_set(&cleared), !range.contains(&bit));
            }
        }
    }
}
