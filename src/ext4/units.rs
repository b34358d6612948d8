//! Numbers that must not be mistaken for one another.

/// Bytes of a block. The only block size that we write: the largest that every
/// kernel reads, and what mke2fs takes for all but tiny disks.
pub(super) const BLOCK_SIZE: usize = 4096;
/// [`BLOCK_SIZE`] for sums over files.
pub(super) const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;
/// Blocks of a block group: as many as one bitmap block has bits.
pub(super) const BLOCKS_PER_GROUP: u64 = 8 * BLOCK_BYTES;
/// [`BLOCKS_PER_GROUP`] for fields of 32 bits.
pub(super) const BLOCKS_PER_GROUP_U32: u32 = u32_of(8 * BLOCK_SIZE);
/// Bytes of an inode.
pub(super) const INODE_SIZE: usize = 256;
/// Inodes in a block of an inode table.
pub(super) const INODES_PER_BLOCK: u32 = u32_of(BLOCK_SIZE / INODE_SIZE);

/// A block of the filesystem, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block(pub u64);

/// A block group, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group(pub u32);

/// An inode, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InodeNumber(pub u32);

/// The rank of a block among those that hold no metadata of a group: files are laid
/// out in ranks, one after the other, and the geometry says which block has which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(pub u64);

impl Block {
    /// Bytes from the start of the filesystem.
    pub(super) fn offset(self) -> u64 {
        self.0 * BLOCK_BYTES
    }

    /// The low half, as most fields on disk hold it.
    #[expect(clippy::cast_possible_truncation, reason = "the other half is `high`")]
    pub(super) fn low(self) -> u32 {
        self.0 as u32
    }

    /// The high half.
    pub(super) fn high(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Group {
    /// The group's first block.
    pub(super) fn start(self) -> Block {
        Block(u64::from(self.0) * BLOCKS_PER_GROUP)
    }

    /// The place of the group in a table of groups.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

impl InodeNumber {
    /// The root directory, among the reserved ones.
    pub(super) const ROOT: Self = Self(2);
    /// What holds the blocks into which the group descriptors may grow.
    pub(super) const RESIZE: Self = Self(7);
    /// The journal.
    pub(super) const JOURNAL: Self = Self(8);
    /// The first that is not reserved; mke2fs gives it to `lost+found`.
    pub(super) const FIRST: Self = Self(11);
}

impl Rank {
    /// The rank `blocks` further on.
    pub(super) fn after(self, blocks: u64) -> Self {
        Self(self.0 + blocks)
    }
}

/// Blocks that hold `bytes` bytes.
pub(super) fn blocks_of(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES)
}

/// A number of 32 bits, where the format has no room for more.
///
/// # Panics
///
/// If it is larger: the layout lets no such number pass.
#[expect(clippy::cast_possible_truncation, reason = "it is checked")]
pub(super) const fn u32_of(value: usize) -> u32 {
    assert!(
        value <= u32::MAX as usize,
        "the number has more than 32 bits"
    );
    value as u32
}

/// A number of 16 bits, where the format has no room for more.
///
/// # Panics
///
/// If it is larger: the layout lets no such number pass.
#[expect(clippy::cast_possible_truncation, reason = "it is checked")]
pub(super) const fn u16_of(value: usize) -> u16 {
    assert!(
        value <= u16::MAX as usize,
        "the number has more than 16 bits"
    );
    value as u16
}
