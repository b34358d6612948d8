//! What is looked at before the `ext4-view` crate reads files: that the map of each file's
//! blocks has an end, and that the index of each directory stays in its blocks.
//!
//! The crate follows a tree of extents wherever it leads. A node may lead to one other node many
//! times, and so a few blocks keep it busy for years, from its cache alone: nothing that reads for
//! it sees that. So the nodes of all trees are counted here, and there can be no more of them than blocks.
//! Whatever else is wrong is left to the crate, which says so when it comes to it.
//!
//! Inodes that nobody uses may be anything: a table need not be written before its first file. One
//! whose checksum is wrong is left to the crate, which refuses it. Without checksums of inodes, the
//! size of one that its group says is not in use is not looked at: garbage has any.
//!
//! The log of a filesystem that was not unmounted may put other blocks in the place of those that
//! are looked at here. Who wants to read those files anyway has no promise of an end.

use std::mem::offset_of;

use zerocopy::FromBytes;

use super::disk::{Volume, in_memory};
use super::ext4::is_64bit;
use super::filesystem::FilesystemFault;
use super::format::{
    DX_NODE_COUNT, DX_ROOT_COUNT, EXTENT_MAGIC, Extent, ExtentHeader, ExtentIndex, GroupDescriptor,
    Inode, LargeInode, SuperBlock,
};
use crate::job::Job;

/// Bits of `i_mode`: the type, and those of what has blocks.
const TYPE: u16 = 0xF000;
const DIRECTORY: u16 = 0x4000;
const REGULAR: u16 = 0x8000;
const SYMLINK: u16 = 0xA000;
/// Bits of `i_flags`: a hash tree, a tree of extents, and a content that stands in the inode.
const INDEX: u32 = 0x1000;
const EXTENTS: u32 = 0x8_0000;
const INLINE_DATA: u32 = 0x1000_0000;
/// Entries of a map of blocks that lead to blocks of the file.
const DIRECT: u64 = 12;
/// Bytes of an entry of such a map.
const POINTER_BYTES: u64 = 4;
/// Bytes of a target that stands in its inode.
const FAST_SYMLINK_BYTES: u64 = 60;
/// `s_feature_ro_compat`: groups have checksums, and say what they do not use.
const GDT_CSUM: u32 = 0x10;
/// `bg_flags`: no inode of the group is in use.
const INODE_UNINIT: u16 = 1;
/// `s_feature_ro_compat`: metadata has checksums.
const METADATA_CSUM: u32 = 0x400;
/// `s_feature_incompat`: checksums begin with a number in the superblock, not with its UUID.
const CSUM_SEED: u32 = 0x2000;
/// Where the halves of an inode's checksum stand.
const CHECKSUM_LO: usize = offset_of!(Inode, l_i_checksum_lo);
const CHECKSUM_HI: usize = offset_of!(LargeInode, i_checksum_hi);
const GENERATION: usize = offset_of!(Inode, i_generation);
/// `eh_depth` of the deepest tree.
const MAX_DEPTH: u16 = 5;
/// Bytes of a table of inodes that are read at once, at least.
const CHUNK_BYTES: u64 = 1 << 18;

/// Why a filesystem is not handed to the crate.
#[derive(Debug, thiserror::Error)]
pub enum MapFault {
    /// Blocks that are there more than once.
    #[error(
        "the indexes of directories and the trees of extents up to inode {inode} take more blocks than the filesystem has, which are {blocks}"
    )]
    Blocks {
        /// The inode's number.
        inode: u64,
        /// Blocks of the filesystem.
        blocks: u64,
    },
    /// More bytes than a map of blocks leads to.
    #[error("inode {inode} has {bytes} bytes, and its map of blocks has room for {limit}")]
    Size {
        /// The inode's number.
        inode: u64,
        /// Bytes, as it says.
        bytes: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// An index that goes beyond its block.
    #[error(
        "the index of the directory that is inode {inode} has {count} entries in block {block}, which has room for {room}"
    )]
    Index {
        /// The inode's number.
        inode: u64,
        /// The block.
        block: u64,
        /// Entries, as it says.
        count: u16,
        /// Entries for which there is room.
        room: usize,
    },
}

/// Refuses the filesystem in `volume`, whose superblock was compared with it, if to read its
/// files might have no end.
pub(super) fn check(volume: &Volume, s: &SuperBlock, job: &Job) -> Result<(), FilesystemFault> {
    let block = 1024 << s.s_log_block_size.get();
    let blocks = super::ext4::blocks(s);
    let maps = Maps {
        volume,
        job,
        block,
        blocks,
        checksums: checksums(s),
        seen: 0,
    };
    maps.check(s)
}

/// What the CRC32C of an inode goes on from.
fn checksums(s: &SuperBlock) -> Option<u32> {
    if s.s_feature_ro_compat.get() & METADATA_CSUM == 0 {
        return None;
    }
    Some(if s.s_feature_incompat.get() & CSUM_SEED != 0 {
        // The kernel does not invert what it keeps.
        !s.s_checksum_seed.get()
    } else {
        crc32c::crc32c(&s.s_uuid)
    })
}

struct Maps<'a> {
    volume: &'a Volume,
    job: &'a Job,
    /// Bytes of a block.
    block: u64,
    /// Blocks of the filesystem.
    blocks: u64,
    /// What all checksums of inodes begin with; nothing if they have none.
    checksums: Option<u32>,
    /// Blocks so far: nodes of all trees, and blocks of directories with an index.
    seen: u64,
}

impl Maps<'_> {
    fn check(mut self, s: &SuperBlock) -> Result<(), FilesystemFault> {
        let first = u64::from(s.s_first_data_block.get());
        let groups = (self.blocks - first).div_ceil(s.s_blocks_per_group.get().into());
        let is_64bit = is_64bit(s);
        let descriptor = if is_64bit { s.s_desc_size.get() } else { 32 };
        // Where the crate looks for them.
        let table = self.block * if self.block == 1024 { 2 } else { 1 };
        let per_group = u64::from(s.s_inodes_per_group.get());
        for group in 0..groups {
            let mut bytes = [0; size_of::<GroupDescriptor>()];
            let known = &mut bytes[..if is_64bit { 64 } else { 32 }];
            self.volume
                .read_exact_at(known, table + group * u64::from(descriptor))?;
            let descriptor: GroupDescriptor = zerocopy::transmute!(bytes);
            let inodes = u64::from(descriptor.bg_inode_table_lo.get())
                | u64::from(descriptor.bg_inode_table_hi.get()) << 32;
            let begin = group * per_group + 1;
            let used = begin + self.in_use(s, &descriptor);
            self.check_table(
                inodes,
                begin..begin + per_group,
                used,
                s.s_inode_size.get().into(),
            )?;
        }
        Ok(())
    }

    /// How many inodes of a group, from its first on, may be in use.
    fn in_use(&self, s: &SuperBlock, descriptor: &GroupDescriptor) -> u64 {
        let all = u64::from(s.s_inodes_per_group.get());
        let says_so = s.s_feature_ro_compat.get() & GDT_CSUM != 0;
        if self.checksums.is_some() || !says_so {
            return all;
        }
        if descriptor.bg_flags.get() & INODE_UNINIT != 0 {
            return 0;
        }
        let unused = u64::from(descriptor.bg_itable_unused_lo.get())
            | u64::from(descriptor.bg_itable_unused_hi.get()) << 16;
        all.saturating_sub(unused)
    }

    /// Whether the crate takes the inode in `bytes` for one: its checksum is right, if there is one.
    fn is_right(&self, number: u64, bytes: &[u8]) -> bool {
        let Some(checksums) = self.checksums else {
            return true;
        };
        // The crate takes none that is shorter.
        let Some((rest, last)) = bytes.split_at_checked(CHECKSUM_HI + 2) else {
            return false;
        };
        let half = |at: usize| u32::from(u16::from_le_bytes([rest[at], rest[at + 1]]));
        // More inodes than that are not numbered.
        let Ok(number) = u32::try_from(number) else {
            return false;
        };
        let found = [
            &number.to_le_bytes()[..],
            &rest[GENERATION..GENERATION + 4],
            &rest[..CHECKSUM_LO],
            &[0; 2],
            &rest[CHECKSUM_LO + 2..CHECKSUM_HI],
            &[0; 2],
            last,
        ]
        .iter()
        .fold(checksums, |crc, part| crc32c::crc32c_append(crc, part));
        !found == half(CHECKSUM_LO) | half(CHECKSUM_HI) << 16
    }

    /// Checks the inodes of these numbers, each of `size` bytes, from the block `start` on. Those from
    /// `used` on are in no use.
    fn check_table(
        &mut self,
        start: u64,
        numbers: std::ops::Range<u64>,
        used: u64,
        size: u64,
    ) -> Result<(), FilesystemFault> {
        let Some(mut at) = start.checked_mul(self.block) else {
            return Ok(());
        };
        let mut number = numbers.start;
        while number < numbers.end {
            self.job.check()?;
            // What is behind the end cannot be read by the crate either.
            let there = self.volume.size().saturating_sub(at) / size;
            let count = (CHUNK_BYTES / size).max(1).min(numbers.end - number);
            let count = count.min(there);
            if count == 0 {
                return Ok(());
            }
            let mut chunk = vec![0; in_memory(count * size)];
            self.volume.read_exact_at(&mut chunk, at)?;
            for bytes in chunk.chunks_exact(in_memory(size)) {
                let (inode, _) = Inode::ref_from_prefix(bytes).expect("an inode has 128 bytes");
                if has_blocks(inode) && self.is_right(number, bytes) {
                    self.check_inode(number, inode, number < used)?;
                }
                number += 1;
            }
            at += count * size;
        }
        Ok(())
    }

    fn check_inode(
        &mut self,
        number: u64,
        inode: &Inode,
        is_used: bool,
    ) -> Result<(), FilesystemFault> {
        let bytes = u64::from(inode.i_size_lo.get()) | u64::from(inode.i_size_high.get()) << 32;
        let kind = inode.i_mode.get() & TYPE;
        let flags = inode.i_flags.get();
        let mut walk = Walk {
            inode: number,
            // The crate slices by the count in the index where it derives a checksum.
            is_indexed: kind == DIRECTORY && flags & INDEX != 0 && self.checksums.is_some(),
            is_first: true,
        };
        if flags & EXTENTS != 0 {
            return self.check_node(&mut walk, &inode.i_block, MAX_DEPTH);
        }
        if flags & INLINE_DATA != 0 || kind == SYMLINK && bytes < FAST_SYMLINK_BYTES {
            return Ok(());
        }
        // Without a tree, the crate reads no more blocks than the size says; all of them must be
        // in the map.
        let entries = self.block / POINTER_BYTES;
        let limit = (DIRECT + entries + entries.pow(2) + entries.pow(3)) * self.block;
        if is_used && bytes > limit {
            return Err(MapFault::Size {
                inode: number,
                bytes,
                limit,
            }
            .into());
        }
        if walk.is_indexed {
            let mut left = bytes.div_ceil(self.block);
            let (direct, indirect) = inode.i_block.split_at(48);
            self.check_map(&mut walk, direct, 0, &mut left)?;
            for (depth, pointer) in (1..).zip(indirect.chunks_exact(4)) {
                self.check_map(&mut walk, pointer, depth, &mut left)?;
            }
        }
        Ok(())
    }

    /// Checks the next `left` blocks of a directory, to which `pointers` lead through maps.
    fn check_map(
        &mut self,
        walk: &mut Walk,
        pointers: &[u8],
        maps: u32,
        left: &mut u64,
    ) -> Result<(), FilesystemFault> {
        for pointer in pointers.chunks_exact(4) {
            if *left == 0 {
                break;
            }
            let (pointer, _) =
                zerocopy::little_endian::U32::ref_from_prefix(pointer).expect("it has 4 bytes");
            let block = u64::from(pointer.get());
            if maps == 0 {
                *left -= 1;
                self.check_index(walk, block, 1)?;
                continue;
            }
            self.count(walk.inode)?;
            if let Some(bytes) = self.block(block)? {
                self.check_map(walk, &bytes, maps - 1, left)?;
            }
        }
        Ok(())
    }

    /// Checks all below the node in `bytes`, unless the crate takes none of its `depth`.
    fn check_node(
        &mut self,
        walk: &mut Walk,
        bytes: &[u8],
        depth: u16,
    ) -> Result<(), FilesystemFault> {
        let Ok((header, rest)) = ExtentHeader::ref_from_prefix(bytes) else {
            return Ok(());
        };
        let depth_here = header.eh_depth.get();
        if header.eh_magic.get() != EXTENT_MAGIC || depth_here > depth {
            return Ok(());
        }
        let entries = rest.chunks_exact(size_of::<Extent>());
        for entry in entries.take(header.eh_entries.get().into()) {
            if depth_here == 0 {
                let extent = Extent::ref_from_bytes(entry).expect("it has 12 bytes");
                self.check_extent(walk, extent)?;
                continue;
            }
            let index = ExtentIndex::ref_from_bytes(entry).expect("it has 12 bytes");
            let child = u64::from(index.ei_leaf_lo.get()) | u64::from(index.ei_leaf_hi.get()) << 32;
            self.count(walk.inode)?;
            if let Some(bytes) = self.block(child)? {
                self.check_node(walk, &bytes, depth_here - 1)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, inode: u64) -> Result<(), FilesystemFault> {
        self.seen += 1;
        if self.seen > self.blocks {
            return Err(MapFault::Blocks {
                inode,
                blocks: self.blocks,
            }
            .into());
        }
        Ok(self.job.check()?)
    }

    fn check_extent(&mut self, walk: &mut Walk, extent: &Extent) -> Result<(), FilesystemFault> {
        let blocks = extent.ee_len.get();
        if !walk.is_indexed || blocks == 0 {
            return Ok(());
        }
        if extent.ee_block.get() != 0 {
            // A hole at the start is an error to the crate.
            walk.is_first = false;
        }
        let start = u64::from(extent.ee_start_lo.get()) | u64::from(extent.ee_start_hi.get()) << 32;
        self.check_index(walk, start, blocks.into())
    }

    /// Checks the index in `blocks` of a directory, from the block `start` on.
    fn check_index(
        &mut self,
        walk: &mut Walk,
        start: u64,
        blocks: u64,
    ) -> Result<(), FilesystemFault> {
        for block in start..start.saturating_add(blocks) {
            self.count(walk.inode)?;
            let Some(bytes) = self.block(block)? else {
                return Ok(());
            };
            let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            // The first one is read as a node too if the index leads to it. An entry without a
            // name fills the block of a node.
            let is_root = std::mem::take(&mut walk.is_first);
            let is_node = u64::from(word(4)) == self.block;
            let counts = [(is_root, DX_ROOT_COUNT), (is_node, DX_NODE_COUNT)];
            for (_, at) in counts.into_iter().filter(|(is_there, _)| *is_there) {
                // The count stands in the place of the first entry, behind the limit.
                let room = (bytes.len() - (at - 2)) / 8;
                let count = word(at);
                if usize::from(count) > room {
                    return Err(MapFault::Index {
                        inode: walk.inode,
                        block,
                        count,
                        room,
                    }
                    .into());
                }
            }
        }
        Ok(())
    }

    /// The bytes of a block; nothing if there is no such block.
    fn block(&self, block: u64) -> Result<Option<Vec<u8>>, FilesystemFault> {
        if block >= self.blocks {
            return Ok(None);
        }
        let mut bytes = vec![0; in_memory(self.block)];
        self.volume.read_exact_at(&mut bytes, block * self.block)?;
        Ok(Some(bytes))
    }
}

/// Whether it is a file of a type that may have blocks.
fn has_blocks(inode: &Inode) -> bool {
    matches!(inode.i_mode.get() & TYPE, DIRECTORY | REGULAR | SYMLINK)
}

/// The walk through what one inode leads to.
struct Walk {
    inode: u64,
    /// Whether it is a directory whose blocks have an index with checksums.
    is_indexed: bool,
    /// Whether its first block is still to come.
    is_first: bool,
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::super::disk::Disk;
    use super::super::ext4::{Ext4Files, Ext4Volume};
    use super::*;
    use crate::error::Chain;
    use crate::ext4::{Feature, Features, Options, Uuid, lay_out};
    use crate::image;
    use crate::source::Source;
    use crate::tree::{Metadata, Name, Node, Timestamp, Tree};

    const BLOCK: u64 = 4096;
    const INODE_BYTES: u64 = 256;
    const UUID: &[u8; 16] = b"nix2image tests.";
    /// Bytes of the file in the image, which no other has.
    const FILE_BYTES: u64 = 4 * BLOCK + 7;

    /// An image with a file of five blocks and a directory with an index.
    struct Written(File);

    impl Written {
        fn new() -> Self {
            Self::with(Features::default_profile())
        }

        fn with(features: Features) -> Self {
            let metadata = || Metadata::of_root(0o755, Timestamp::from_seconds(1));
            let mut tree = Tree::new(Node::directory(metadata()));
            let mut put = |parent, name: &str, node| {
                tree.insert(parent, Name::new(name).unwrap(), node).unwrap()
            };
            let content = vec![7; usize::try_from(FILE_BYTES).unwrap()];
            let file = Node::file(metadata(), Source::bytes(content));
            put(Tree::ROOT, "file", file);
            let many = put(Tree::ROOT, "many", Node::directory(metadata()));
            for number in 0..300 {
                let name = format!("{number}{}", "n".repeat(30));
                put(many, &name, Node::symlink(metadata(), &b"x"[..]));
            }
            let options = Options {
                features,
                free_bytes: 0,
                free_inodes: 0,
                ..Options::new(Uuid(*UUID))
            };
            let file = tempfile::tempfile().unwrap();
            let pieces = lay_out(tree, &options).unwrap();
            image::write(&pieces, &file, &Job::default()).unwrap();
            Self(file)
        }

        fn read(&self, at: u64) -> u32 {
            let mut bytes = [0; 4];
            self.0.read_exact_at(&mut bytes, at).unwrap();
            u32::from_le_bytes(bytes)
        }

        fn write(&self, at: u64, bytes: &[u8]) {
            self.0.write_all_at(bytes, at).unwrap();
        }

        /// Writes to an inode, and its checksum.
        fn write_inode(&self, inode: u64, at: u64, bytes: &[u8]) {
            self.write(inode + at, bytes);
            for half in [0x7C, 0x82] {
                self.write(inode + half, &[0; 2]);
            }
            let number = u32::try_from((inode - self.table()) / INODE_BYTES + 1).unwrap();
            let mut bytes = [0; 256];
            self.0.read_exact_at(&mut bytes, inode).unwrap();
            let parts = [&UUID[..], &number.to_le_bytes(), &bytes[0x64..0x68], &bytes];
            let checksum = (!crc32c::crc32c(&parts.concat())).to_le_bytes();
            self.write(inode + 0x7C, &checksum[..2]);
            self.write(inode + 0x82, &checksum[2..]);
        }

        /// Where the inodes are.
        fn table(&self) -> u64 {
            u64::from(self.read(BLOCK + 8)) * BLOCK
        }

        /// Where the first inode is of which this holds.
        fn inode(&self, is_it: impl Fn(u64) -> bool) -> u64 {
            let inodes = (0..1000).map(|number| self.table() + number * INODE_BYTES);
            // The first ten are the filesystem's own.
            inodes.skip(10).find(|inode| is_it(*inode)).unwrap()
        }

        fn file(&self) -> u64 {
            self.inode(|inode| u64::from(self.read(inode + 4)) == FILE_BYTES)
        }

        fn indexed_directory(&self) -> u64 {
            self.inode(|inode| self.read(inode + 0x20) & INDEX != 0)
        }

        fn refusal(&self) -> String {
            let size = self.0.metadata().unwrap().len();
            let volume = Disk::plain(self.0.try_clone().unwrap(), size).whole();
            match Ext4Volume::check(&volume, &Job::default()) {
                Ok(volume) => {
                    Ext4Files::open(&volume).unwrap();
                    String::new()
                }
                Err(fault) => Chain(&fault).to_string(),
            }
        }
    }

    /// A node of this depth, in which each of `entries` entries leads to `block`.
    fn node(depth: u16, entries: u16, block: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [EXTENT_MAGIC, entries, entries, depth, 0, 0] {
            bytes.extend(word.to_le_bytes());
        }
        for _ in 0..entries {
            bytes.extend(0_u32.to_le_bytes());
            bytes.extend(u32::try_from(block).unwrap().to_le_bytes());
            bytes.extend([0; 4]);
        }
        bytes
    }

    #[test]
    fn what_our_writer_makes_has_an_end() {
        assert_eq!(Written::new().refusal(), "");
    }

    #[test]
    fn a_tree_whose_nodes_lead_to_one_node_is_refused_at_once() {
        let written = Written::new();
        let inode = written.file();
        let data = u64::from(written.read(inode + 0x28 + 12 + 8));
        // 4 × 340⁴ ways to the last node, which is empty.
        written.write_inode(inode, 0x28, &node(5, 4, data));
        for depth in 0..5 {
            let block = data + u64::from(4 - depth);
            let entries = if depth == 0 { 0 } else { 340 };
            written.write(block * BLOCK, &node(depth, entries, block + 1));
        }
        let refusal = written.refusal();
        assert!(
            refusal.contains("the trees of extents up to inode "),
            "{refusal}"
        );
    }

    #[test]
    fn an_index_that_goes_beyond_its_block_is_refused_before_the_crate_slices_by_it() {
        let written = Written::new();
        let inode = written.indexed_directory();
        let first = u64::from(written.read(inode + 0x28 + 12 + 8));
        written.write(first * BLOCK + 0x22, &[0xFF, 0xFF]);
        let refusal = written.refusal();
        assert!(
            refusal.ends_with(&format!(
                "has 65535 entries in block {first}, which has room for 508"
            )),
            "{refusal}"
        );
    }

    #[test]
    fn the_first_block_of_an_index_is_checked_as_a_node_too() {
        let written = Written::new();
        let inode = written.indexed_directory();
        let first = u64::from(written.read(inode + 0x28 + 12 + 8));
        // It looks like a node, and its entries may lead to it.
        written.write(first * BLOCK + 4, &[0x00, 0x10]);
        written.write(first * BLOCK + 0xA, &[0xFF, 0xFF]);
        let refusal = written.refusal();
        assert!(refusal.contains("has 65535 entries"), "{refusal}");
    }

    #[test]
    fn the_index_of_a_directory_with_a_map_of_blocks_is_checked_in_all_blocks() {
        let written = Written::new();
        let inode = written.indexed_directory();
        let first = written.read(inode + 0x28 + 12 + 8);
        let flags = written.read(inode + 0x20) & !EXTENTS;
        written.write(inode + 0x20, &flags.to_le_bytes());
        let mut map = [0; 60];
        map[..4].copy_from_slice(&first.to_le_bytes());
        map[4..8].copy_from_slice(&(first + 1).to_le_bytes());
        written.write_inode(inode, 0x28, &map);
        assert_eq!(written.refusal(), "");
        let second = u64::from(first + 1) * BLOCK;
        written.write(second + 4, &[0x00, 0x10]);
        written.write(second + 0xA, &[0xFF, 0xFF]);
        let refusal = written.refusal();
        assert!(
            refusal.contains(&format!("has 65535 entries in block {}", first + 1)),
            "{refusal}"
        );
    }

    #[test]
    fn a_file_with_more_bytes_than_its_map_leads_to_is_refused() {
        let written = Written::new();
        let inode = written.file();
        let flags = written.read(inode + 0x20) & !EXTENTS;
        written.write(inode + 0x20, &flags.to_le_bytes());
        // 2⁵⁶ bytes.
        written.write_inode(inode, 0x6C, &(1_u32 << 24).to_le_bytes());
        let refusal = written.refusal();
        assert!(
            refusal.contains("its map of blocks has room for"),
            "{refusal}"
        );
    }

    #[test]
    fn tables_of_inodes_that_would_be_read_many_times_are_refused() {
        let written = Written::new();
        // Each group says to have all inodes that a group can have.
        written.write(1024 + 0x28, &32_768_u32.to_le_bytes());
        let refusal = written.refusal();
        assert!(refusal.contains("s_inodes_count is "), "{refusal}");
        written.write(1024, &32_768_u32.to_le_bytes());
        written.write(1024 + 0x58, &4096_u16.to_le_bytes());
        let refusal = written.refusal();
        assert!(refusal.contains("s_inode_size is 4096"), "{refusal}");
    }

    #[test]
    fn a_directory_that_is_larger_than_the_filesystem_is_not_read() {
        let written = Written::new();
        let inode = written.indexed_directory();
        written.write_inode(inode, 4, &u32::MAX.to_le_bytes());
        let size = written.0.metadata().unwrap().len();
        let volume = Disk::plain(written.0, size).whole();
        let volume = Ext4Volume::check(&volume, &Job::default()).unwrap();
        let files = Ext4Files::open(&volume).unwrap();
        let Err(error) = files.metadata(b"/many") else {
            panic!("it was read");
        };
        let error = Chain(&error).to_string();
        assert!(
            error.contains("it has 4294967295 bytes, and may have "),
            "{error}"
        );
    }

    #[test]
    fn what_was_never_an_inode_is_not_looked_at() {
        let written = Written::new();
        let inode = written.indexed_directory();
        // No checksum goes with it, as where a table was never written.
        written.write(inode + 4, &u32::MAX.to_le_bytes());
        assert_eq!(written.refusal(), "");
    }

    /// An inode table that was never written may hold what the disk had before.
    #[test]
    fn garbage_in_the_place_of_unused_inodes_is_left_alone() {
        // Groups say what they do not use, and inodes have no checksums.
        let features = [
            Feature::HasJournal,
            Feature::ExtAttr,
            Feature::ResizeInode,
            Feature::DirIndex,
            Feature::Filetype,
            Feature::Extent,
            Feature::Bit64,
            Feature::FlexBg,
            Feature::SparseSuper,
            Feature::LargeFile,
            Feature::HugeFile,
            Feature::UninitBg,
            Feature::DirNlink,
            Feature::ExtraIsize,
        ];
        let written = Written::with(Features::new(features).unwrap());
        let unused = written.table() + 2000 * INODE_BYTES;
        // A regular file of 2⁶⁴ bytes, by its map of blocks.
        written.write(unused, &(REGULAR | 0o644).to_le_bytes());
        written.write(unused + 4, &[0xFF; 4]);
        written.write(unused + 0x6C, &[0xFF; 4]);
        assert_eq!(written.refusal(), "");
        let used = written.file();
        written.write(used + 0x20, &[0; 4]);
        written.write(used + 0x6C, &[0xFF; 4]);
        let refusal = written.refusal();
        assert!(
            refusal.contains("its map of blocks has room for"),
            "{refusal}"
        );
    }

    #[test]
    fn who_is_asked_to_stop_stops() {
        let written = Written::new();
        let size = written.0.metadata().unwrap().len();
        let volume = Disk::plain(written.0, size).whole();
        let job = Job::default();
        job.stop();
        assert!(matches!(
            Ext4Volume::check(&volume, &job),
            Err(FilesystemFault::Stopped(_))
        ));
    }
}
