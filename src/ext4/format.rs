//! The bytes of ext4 on disk: each structure once, with the kernel's field names.
//!
//! Source: <https://docs.kernel.org/filesystems/ext4/>. Fields stand in rows of 16
//! bytes where a row can be had, so that they read like a dump of the disk. All
//! integers are little-endian but the journal's.

#![expect(clippy::struct_field_names, reason = "they are the kernel's")]

use std::mem::offset_of;

use zerocopy::big_endian::U32 as Be32;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::units::{BLOCK_SIZE, INODE_SIZE};

/// Superblock: `struct ext4_super_block`, at byte 1024 of the filesystem and at the
/// start of the groups that hold a backup.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct SuperBlock {
    pub s_inodes_count: U32,
    pub s_blocks_count_lo: U32,
    pub s_r_blocks_count_lo: U32,
    pub s_free_blocks_count_lo: U32,

    pub s_free_inodes_count: U32,
    pub s_first_data_block: U32,
    pub s_log_block_size: U32,
    pub s_log_cluster_size: U32,

    pub s_blocks_per_group: U32,
    pub s_clusters_per_group: U32,
    pub s_inodes_per_group: U32,
    pub s_mtime: U32,

    pub s_wtime: U32,
    pub s_mnt_count: U16,
    pub s_max_mnt_count: U16,
    pub s_magic: U16,
    pub s_state: U16,
    pub s_errors: U16,
    pub s_minor_rev_level: U16,

    pub s_lastcheck: U32,
    pub s_checkinterval: U32,
    pub s_creator_os: U32,
    pub s_rev_level: U32,

    pub s_def_resuid: U16,
    pub s_def_resgid: U16,
    pub s_first_ino: U32,
    pub s_inode_size: U16,
    pub s_block_group_nr: U16,
    pub s_feature_compat: U32,

    pub s_feature_incompat: U32,
    pub s_feature_ro_compat: U32,
    pub s_uuid: [u8; 16],
    pub s_volume_name: [u8; 16],
    pub s_last_mounted: [u8; 64],
    pub s_algorithm_usage_bitmap: U32,

    pub s_prealloc_blocks: u8,
    pub s_prealloc_dir_blocks: u8,
    pub s_reserved_gdt_blocks: U16,
    pub s_journal_uuid: [u8; 16],

    pub s_journal_inum: U32,
    pub s_journal_dev: U32,
    pub s_last_orphan: U32,
    pub s_hash_seed: [u8; 16],

    pub s_def_hash_version: u8,
    pub s_jnl_backup_type: u8,
    pub s_desc_size: U16,
    pub s_default_mount_opts: U32,
    pub s_first_meta_bg: U32,
    pub s_mkfs_time: U32,

    pub s_jnl_blocks: [U32; 17],

    pub s_blocks_count_hi: U32,
    pub s_r_blocks_count_hi: U32,
    pub s_free_blocks_count_hi: U32,
    pub s_min_extra_isize: U16,
    pub s_want_extra_isize: U16,

    pub s_flags: U32,
    pub s_raid_stride: U16,
    pub s_mmp_update_interval: U16,
    pub s_mmp_block: U64,

    pub s_raid_stripe_width: U32,
    pub s_log_groups_per_flex: u8,
    pub s_checksum_type: u8,
    pub s_reserved_pad: U16,
    pub s_kbytes_written: U64,

    pub s_snapshots_and_errors: [u8; 0xC8],

    pub s_overhead_clusters: U32,
    pub s_backup_bgs: [U32; 2],
    pub s_encrypt_algos: [u8; 4],

    pub s_encrypt_pw_salt: [u8; 16],
    pub s_lpf_ino: U32,
    pub s_prj_quota_inum: U32,
    pub s_checksum_seed: U32,
    pub s_high_time_bits: [u8; 8],
    pub s_encoding: U16,
    pub s_encoding_flags: U16,
    pub s_orphan_file_inum: U32,
    pub s_reserved: [U32; 94],
    pub s_checksum: U32,
}

const _: () = assert!(size_of::<SuperBlock>() == 1024);
const _: () = assert!(offset_of!(SuperBlock, s_magic) == 0x38);
const _: () = assert!(offset_of!(SuperBlock, s_uuid) == 0x68);
const _: () = assert!(offset_of!(SuperBlock, s_reserved_gdt_blocks) == 0xCE);
const _: () = assert!(offset_of!(SuperBlock, s_hash_seed) == 0xEC);
const _: () = assert!(offset_of!(SuperBlock, s_jnl_blocks) == 0x10C);
const _: () = assert!(offset_of!(SuperBlock, s_flags) == 0x160);
const _: () = assert!(offset_of!(SuperBlock, s_overhead_clusters) == 0x248);
const _: () = assert!(offset_of!(SuperBlock, s_checksum_seed) == 0x270);
const _: () = assert!(offset_of!(SuperBlock, s_checksum) == 0x3FC);

/// Bytes before the primary superblock: room for a boot sector.
pub(super) const SUPERBLOCK_OFFSET: usize = 1024;
/// `s_magic`.
pub(super) const SUPERBLOCK_MAGIC: u16 = 0xEF53;
/// `s_state`: cleanly unmounted.
pub(super) const STATE_VALID: u16 = 1;
/// `s_errors`: carry on.
pub(super) const ERRORS_CONTINUE: u16 = 1;
/// `s_rev_level`: inodes of any size, features.
pub(super) const REVISION_DYNAMIC: u32 = 1;
/// `s_max_mnt_count`: no check is ever due.
pub(super) const MOUNT_COUNT_UNLIMITED: u16 = u16::MAX;
/// `s_default_mount_opts`: `user_xattr` and `acl`, as mke2fs.
pub(super) const DEFAULT_MOUNT_OPTIONS: u32 = 0x0004 | 0x0008;
/// `s_def_hash_version`: half MD4.
pub(super) const HASH_HALF_MD4: u8 = 1;
/// `s_flags`: the directory hash takes the bytes of a name as signed.
pub(super) const FLAG_SIGNED_HASH: u32 = 1;
/// `s_jnl_backup_type`: `s_jnl_blocks` is a copy of the journal inode's `i_block` and size.
pub(super) const JOURNAL_BACKUP_BLOCKS: u8 = 1;
/// `s_checksum_type`: crc32c.
pub(super) const CHECKSUM_CRC32C: u8 = 1;

/// Block group descriptor: `struct ext4_group_desc`. Without the `64bit` feature it
/// ends behind its first 32 bytes.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct GroupDescriptor {
    pub bg_block_bitmap_lo: U32,
    pub bg_inode_bitmap_lo: U32,
    pub bg_inode_table_lo: U32,
    pub bg_free_blocks_count_lo: U16,
    pub bg_free_inodes_count_lo: U16,

    pub bg_used_dirs_count_lo: U16,
    pub bg_flags: U16,
    pub bg_exclude_bitmap_lo: U32,
    pub bg_block_bitmap_csum_lo: U16,
    pub bg_inode_bitmap_csum_lo: U16,
    pub bg_itable_unused_lo: U16,
    pub bg_checksum: U16,

    pub bg_block_bitmap_hi: U32,
    pub bg_inode_bitmap_hi: U32,
    pub bg_inode_table_hi: U32,
    pub bg_free_blocks_count_hi: U16,
    pub bg_free_inodes_count_hi: U16,

    pub bg_used_dirs_count_hi: U16,
    pub bg_itable_unused_hi: U16,
    pub bg_exclude_bitmap_hi: U32,
    pub bg_block_bitmap_csum_hi: U16,
    pub bg_inode_bitmap_csum_hi: U16,
    pub bg_reserved: U32,
}

const _: () = assert!(size_of::<GroupDescriptor>() == 64);
const _: () =
    assert!(offset_of!(GroupDescriptor, bg_block_bitmap_hi) == SHORT_GROUP_DESCRIPTOR_SIZE);

/// Bytes of a group descriptor without the `64bit` feature.
pub(super) const SHORT_GROUP_DESCRIPTOR_SIZE: usize = 32;

/// `bg_flags`: no inode of the group is used, and its bitmap is not written.
pub(super) const BG_INODE_UNINIT: u16 = 1;
/// `bg_flags`: only the group's own metadata uses its blocks, and the bitmap is not
/// written.
pub(super) const BG_BLOCK_UNINIT: u16 = 2;

/// Inode: `struct ext4_inode` and the room behind it for extended attributes.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Inode {
    pub i_mode: U16,
    pub i_uid: U16,
    pub i_size_lo: U32,
    pub i_atime: U32,
    pub i_ctime: U32,

    pub i_mtime: U32,
    pub i_dtime: U32,
    pub i_gid: U16,
    pub i_links_count: U16,
    pub i_blocks_lo: U32,

    pub i_flags: U32,
    pub i_version: U32,
    pub i_block: [u8; 60],

    pub i_generation: U32,
    pub i_file_acl_lo: U32,
    pub i_size_high: U32,
    pub i_obso_faddr: U32,
    pub i_blocks_high: U16,
    pub i_file_acl_high: U16,
    pub i_uid_high: U16,
    pub i_gid_high: U16,
    pub i_checksum_lo: U16,
    pub i_reserved: U16,

    pub i_extra_isize: U16,
    pub i_checksum_hi: U16,
    pub i_ctime_extra: U32,
    pub i_mtime_extra: U32,
    pub i_atime_extra: U32,

    pub i_crtime: U32,
    pub i_crtime_extra: U32,
    pub i_version_hi: U32,
    pub i_projid: U32,

    pub i_xattrs: [u8; INODE_XATTR_SPACE],
}

const _: () = assert!(size_of::<Inode>() == INODE_SIZE);
const _: () = assert!(offset_of!(Inode, i_block) == 0x28);
const _: () = assert!(offset_of!(Inode, i_checksum_lo) == 0x7C);
const _: () = assert!(offset_of!(Inode, i_extra_isize) == 0x80);

/// Bytes of `struct ext4_inode` that belong to the first ext2 inodes.
const GOOD_OLD_INODE_SIZE: usize = 128;
/// `i_extra_isize`: what the fields after `GOOD_OLD_INODE_SIZE` take.
pub(super) const EXTRA_ISIZE: u16 = 32;
/// Bytes of an inode behind its fields.
pub(super) const INODE_XATTR_SPACE: usize = INODE_SIZE - GOOD_OLD_INODE_SIZE - EXTRA_ISIZE as usize;

/// `i_flags`: the directory has a hash tree.
pub(super) const INODE_INDEX: u32 = 0x1000;
/// `i_flags`: `i_block` is the root of an extent tree.
pub(super) const INODE_EXTENTS: u32 = 0x8_0000;

/// File types as `i_mode` holds them.
pub(super) mod mode {
    pub(in crate::ext4) const FIFO: u16 = 0o010_000;
    pub(in crate::ext4) const CHARACTER_DEVICE: u16 = 0o020_000;
    pub(in crate::ext4) const DIRECTORY: u16 = 0o040_000;
    pub(in crate::ext4) const BLOCK_DEVICE: u16 = 0o060_000;
    pub(in crate::ext4) const REGULAR: u16 = 0o100_000;
    pub(in crate::ext4) const SYMLINK: u16 = 0o120_000;
}

/// The head of a node of an extent tree: `struct ext4_extent_header`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ExtentHeader {
    pub eh_magic: U16,
    pub eh_entries: U16,
    pub eh_max: U16,
    pub eh_depth: U16,
    pub eh_generation: U32,
}

/// An entry of an inner node: `struct ext4_extent_idx`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ExtentIndex {
    pub ei_block: U32,
    pub ei_leaf_lo: U32,
    pub ei_leaf_hi: U16,
    pub ei_unused: U16,
}

/// An entry of a leaf: `struct ext4_extent`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ExtentLeaf {
    pub ee_block: U32,
    pub ee_len: U16,
    pub ee_start_hi: U16,
    pub ee_start_lo: U32,
}

/// Bytes of an entry of either kind, and of the header.
pub(super) const EXTENT_ENTRY_SIZE: usize = size_of::<ExtentLeaf>();
const _: () = assert!(size_of::<ExtentIndex>() == EXTENT_ENTRY_SIZE);
const _: () = assert!(size_of::<ExtentHeader>() == EXTENT_ENTRY_SIZE);

/// `eh_magic`.
pub(super) const EXTENT_MAGIC: u16 = 0xF30A;
/// Entries of the root of an extent tree, in the inode.
pub(super) const EXTENTS_IN_INODE: usize = 60 / EXTENT_ENTRY_SIZE - 1;
/// Entries of a node in a block.
pub(super) const EXTENTS_IN_BLOCK: usize = BLOCK_SIZE / EXTENT_ENTRY_SIZE - 1;
/// The checksum of a node in a block stands behind the last entry that it could have.
pub(super) const EXTENT_TAIL_OFFSET: usize = EXTENT_ENTRY_SIZE * (1 + EXTENTS_IN_BLOCK);
/// Blocks that one extent can map.
pub(super) const EXTENT_MAX_BLOCKS: u64 = 32768;

/// The head of a directory entry: `struct ext4_dir_entry_2`; the name follows.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct DirectoryEntry {
    pub inode: U32,
    pub rec_len: U16,
    pub name_len: u8,
    pub file_type: u8,
}

/// File types as a directory entry holds them.
pub(super) mod file_type {
    pub(in crate::ext4) const REGULAR: u8 = 1;
    pub(in crate::ext4) const DIRECTORY: u8 = 2;
    pub(in crate::ext4) const CHARACTER_DEVICE: u8 = 3;
    pub(in crate::ext4) const BLOCK_DEVICE: u8 = 4;
    pub(in crate::ext4) const FIFO: u8 = 5;
    pub(in crate::ext4) const SYMLINK: u8 = 7;
}

/// The checksum at the end of a directory block, disguised as an unused entry:
/// `struct ext4_dir_entry_tail`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct DirectoryTail {
    pub det_reserved_zero1: U32,
    pub det_rec_len: U16,
    pub det_reserved_zero2: u8,
    pub det_reserved_ft: u8,
    pub det_checksum: U32,
}

/// `det_reserved_ft`.
pub(super) const DIRECTORY_TAIL_TYPE: u8 = 0xDE;
/// What the root of a hash tree says of it, behind `.` and `..`:
/// `struct dx_root_info`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct DxRootInfo {
    pub reserved_zero: U32,
    pub hash_version: u8,
    pub info_length: u8,
    pub indirect_levels: u8,
    pub unused_flags: u8,
}

/// `info_length`.
pub(super) const DX_ROOT_INFO_LENGTH: u8 = 8;
const _: () = assert!(size_of::<DxRootInfo>() == DX_ROOT_INFO_LENGTH as usize);

/// Before the entries of a node of a hash tree: `struct dx_countlimit`; it takes the
/// place of the hash of the first entry, which needs none.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct DxCountLimit {
    pub limit: U16,
    pub count: U16,
}

/// Bytes of `struct dx_entry`: a hash and a block of the directory.
pub(super) const DX_ENTRY_SIZE: usize = 8;
/// Where the entries of the root of a hash tree begin: `.`, `..` and the info.
pub(super) const DX_ROOT_ENTRIES_OFFSET: usize = 12 + 12 + size_of::<DxRootInfo>();
/// Where the entries of an inner node begin: an unused directory entry.
pub(super) const DX_NODE_ENTRIES_OFFSET: usize = size_of::<DirectoryEntry>();
/// Bytes of `struct dx_tail`: a reserved word and the checksum.
pub(super) const DX_TAIL_SIZE: usize = 8;

/// The head of an extended attribute block: `struct ext4_xattr_header`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct XattrHeader {
    pub h_magic: U32,
    pub h_refcount: U32,
    pub h_blocks: U32,
    pub h_hash: U32,
    pub h_checksum: U32,
    pub h_reserved: [U32; 3],
}

/// `h_magic`, and the word before the attributes in an inode.
pub(super) const XATTR_MAGIC: u32 = 0xEA02_0000;

/// The head of an extended attribute: `struct ext4_xattr_entry`; the name follows.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct XattrEntry {
    pub e_name_len: u8,
    pub e_name_index: u8,
    pub e_value_offs: U16,
    pub e_value_inum: U32,
    pub e_value_size: U32,
    pub e_hash: U32,
}

/// The start of a journal: `journal_superblock_t`, big-endian.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct JournalSuperblock {
    pub h_magic: Be32,
    pub h_blocktype: Be32,
    pub h_sequence: Be32,
    pub s_blocksize: Be32,

    pub s_maxlen: Be32,
    pub s_first: Be32,
    pub s_sequence: Be32,
    pub s_start: Be32,

    pub s_errno: Be32,
    pub s_feature_compat: Be32,
    pub s_feature_incompat: Be32,
    pub s_feature_ro_compat: Be32,

    pub s_uuid: [u8; 16],
    pub s_nr_users: Be32,
}

/// `h_magic`.
pub(super) const JOURNAL_MAGIC: u32 = 0xC03B_3998;
/// `h_blocktype`: a superblock with features.
pub(super) const JOURNAL_SUPERBLOCK_V2: u32 = 4;

/// The structure at `offset` of `bytes`.
///
/// # Panics
///
/// If it does not fit there: an encoder's fault.
pub(super) fn structure_at<T: FromBytes + IntoBytes + KnownLayout>(
    bytes: &mut [u8],
    offset: usize,
) -> &mut T {
    T::mut_from_bytes(&mut bytes[offset..offset + size_of::<T>()])
        .expect("the slice has the structure's size, and its fields have no alignment")
}

/// A structure of zeros.
pub(super) fn zeroed<T: FromZeros>() -> T {
    T::new_zeroed()
}

/// The end of a block of the orphan file: `struct ext4_orphan_block_tail`; before it
/// stand inode numbers.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct OrphanBlockTail {
    pub ob_magic: U32,
    pub ob_checksum: U32,
}

/// `ob_magic`.
pub(super) const ORPHAN_BLOCK_MAGIC: u32 = 0x0B10_CA04;
