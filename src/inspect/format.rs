//! What is read of structures on disk: those fields alone that somebody looks at.
//!
//! They are declared here once more, beside those that `ext4` and `image` write, so that a
//! mistake there is no mistake here. Names are those of the documents:
//! <https://www.kernel.org/doc/html/latest/filesystems/ext4/globals.html#super-block>,
//! Microsoft's FAT specification of 2000, <https://www.qemu.org/docs/master/interop/qcow2.html>
//! and Microsoft's "Virtual Hard Disk Image Format Specification" of 2006.

use std::mem::offset_of;

use zerocopy::big_endian::{U32 as Be32, U64 as Be64};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// ext4: the superblock, 1024 bytes from the start of the filesystem.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct SuperBlock {
    pub s_inodes_count: U32,
    pub s_blocks_count_lo: U32,
    _s_r_blocks_count_lo: U32,
    pub s_free_blocks_count_lo: U32,

    pub s_free_inodes_count: U32,
    pub s_first_data_block: U32,
    pub s_log_block_size: U32,
    _s_log_cluster_size: U32,

    pub s_blocks_per_group: U32,
    _s_clusters_per_group: U32,
    pub s_inodes_per_group: U32,
    _s_mtime_to_s_magic: [u8; 12],

    pub s_magic: U16,
    _s_state_to_s_inode_size: [u8; 30],
    pub s_inode_size: U16,
    _s_block_group_nr: U16,
    pub s_feature_compat: U32,

    pub s_feature_incompat: U32,
    pub s_feature_ro_compat: U32,
    pub s_uuid: [u8; 16],
    pub s_volume_name: [u8; 16],

    _s_last_mounted_to_s_jnl_backup_type: [u8; 117],
    pub s_jnl_backup_type: u8,
    pub s_desc_size: U16,

    _s_default_mount_opts_to_s_jnl_blocks: [u8; 12],
    pub s_jnl_blocks: [U32; 17],

    pub s_blocks_count_hi: U32,
    _s_r_blocks_count_hi: U32,
    pub s_free_blocks_count_hi: U32,
    _s_min_extra_isize_to_s_lpf_ino: [u8; 276],
    pub s_checksum_seed: U32,
    _s_wtime_hi_to_end: [u8; 396],
}

const _: () = assert!(size_of::<SuperBlock>() == 1024);
const _: () = assert!(offset_of!(SuperBlock, s_magic) == 0x38);
const _: () = assert!(offset_of!(SuperBlock, s_inode_size) == 0x58);
const _: () = assert!(offset_of!(SuperBlock, s_jnl_blocks) == 0x10C);
const _: () = assert!(offset_of!(SuperBlock, s_blocks_count_hi) == 0x150);
const _: () = assert!(offset_of!(SuperBlock, s_checksum_seed) == 0x270);

/// Where it lies.
pub(super) const SUPER_BLOCK_OFFSET: u64 = 1024;
/// `s_magic`.
pub(super) const EXT4_MAGIC: u16 = 0xEF53;
/// `s_jnl_backup_type`: `s_jnl_blocks` is a copy of the journal inode's `i_block` and size.
pub(super) const JOURNAL_BACKUP_BLOCKS: u8 = 1;

/// ext4: the descriptor of a group, up to what is read.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct GroupDescriptor {
    _bg_block_bitmap_lo_to_bg_inode_bitmap_lo: [u8; 8],
    pub bg_inode_table_lo: U32,
    _bg_free_blocks_count_lo_to_bg_used_dirs_count_lo: [u8; 6],
    pub bg_flags: U16,
    _bg_exclude_bitmap_lo_to_bg_inode_bitmap_csum_lo: [u8; 8],
    pub bg_itable_unused_lo: U16,
    _bg_checksum_to_bg_inode_bitmap_hi: [u8; 10],
    /// With `64bit` alone, as all that comes after it.
    pub bg_inode_table_hi: U32,
    _bg_free_blocks_count_hi_to_bg_used_dirs_count_hi: [u8; 6],
    pub bg_itable_unused_hi: U16,
    _bg_exclude_bitmap_hi_to_end: [u8; 12],
}

const _: () = assert!(size_of::<GroupDescriptor>() == 64);
const _: () = assert!(offset_of!(GroupDescriptor, bg_flags) == 0x12);
const _: () = assert!(offset_of!(GroupDescriptor, bg_itable_unused_lo) == 0x1C);
const _: () = assert!(offset_of!(GroupDescriptor, bg_inode_table_hi) == 0x28);
const _: () = assert!(offset_of!(GroupDescriptor, bg_itable_unused_hi) == 0x32);

/// ext4: an inode, up to what is read.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Inode {
    pub i_mode: U16,
    _i_uid: U16,
    pub i_size_lo: U32,
    _i_atime_to_i_blocks_lo: [u8; 24],
    pub i_flags: U32,
    _i_osd1: U32,
    pub i_block: [u8; 60],
    pub i_generation: U32,
    _i_file_acl_lo: U32,
    pub i_size_high: U32,
    _i_obso_faddr_to_i_gid_high: [u8; 12],
    pub l_i_checksum_lo: U16,
    _l_i_reserved: U16,
}

const _: () = assert!(size_of::<Inode>() == 128);
const _: () = assert!(offset_of!(Inode, i_block) == 0x28);
const _: () = assert!(offset_of!(Inode, i_size_high) == 0x6C);
const _: () = assert!(offset_of!(Inode, l_i_checksum_lo) == 0x7C);

/// ext4: an inode that is larger, up to its checksum.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct LargeInode {
    _inode: Inode,
    _i_extra_isize: U16,
    pub i_checksum_hi: U16,
}

const _: () = assert!(offset_of!(LargeInode, i_checksum_hi) == 0x82);

/// ext4: what begins a node of a tree of extents.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ExtentHeader {
    pub eh_magic: U16,
    pub eh_entries: U16,
    _eh_max: U16,
    pub eh_depth: U16,
    _eh_generation: U32,
}

/// ext4: an entry of a node that leads to another.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ExtentIndex {
    _ei_block: U32,
    pub ei_leaf_lo: U32,
    pub ei_leaf_hi: U16,
    _ei_unused: U16,
}

/// ext4: an entry of the last node.
#[expect(clippy::struct_field_names, reason = "they are the kernel's")]
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Extent {
    pub ee_block: U32,
    pub ee_len: U16,
    pub ee_start_hi: U16,
    pub ee_start_lo: U32,
}

const _: () = assert!(size_of::<ExtentHeader>() == 12);
const _: () = assert!(size_of::<ExtentIndex>() == 12);
const _: () = assert!(size_of::<Extent>() == 12);

/// `eh_magic`.
pub(super) const EXTENT_MAGIC: u16 = 0xF30A;

/// ext4: the start of the first block of a directory that is a hash tree, up to the count of
/// entries; of others, the count is where [`DX_NODE_COUNT`] says.
pub(super) const DX_ROOT_COUNT: usize = 0x22;
/// Where the count of entries stands in any other node of it.
pub(super) const DX_NODE_COUNT: usize = 0x0A;

/// FAT: the boot sector.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct BootSector {
    pub bs_jmp_boot: [u8; 3],
    _bs_oem_name: [u8; 8],
    pub bpb_byts_per_sec: U16,
    pub bpb_sec_per_clus: u8,
    pub bpb_rsvd_sec_cnt: U16,

    pub bpb_num_fats: u8,
    pub bpb_root_ent_cnt: U16,
    pub bpb_tot_sec_16: U16,
    pub bpb_media: u8,
    pub bpb_fat_sz_16: U16,
    _bpb_sec_per_trk_to_bpb_tot_sec_32: [u8; 8],

    pub bpb_tot_sec_32: U32,
    /// In FAT32 `bpb_fat_sz_32`.
    pub bpb_fat_sz_32: U32,
    _bpb_ext_flags_to_end: [u8; 470],
    pub signature: [u8; 2],
}

const _: () = assert!(size_of::<BootSector>() == 512);
const _: () = assert!(offset_of!(BootSector, bpb_media) == 21);
const _: () = assert!(offset_of!(BootSector, bpb_fat_sz_32) == 36);

/// `signature`: of a boot sector, and of a master boot record.
pub(super) const BOOT_SIGNATURE: [u8; 2] = [0x55, 0xAA];

/// qcow2: the start of the file.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Qcow2Header {
    pub magic: Be32,
    pub version: Be32,
    pub backing_file_offset: Be64,

    pub backing_file_size: Be32,
    pub cluster_bits: Be32,
    pub size: Be64,

    pub crypt_method: Be32,
    pub l1_size: Be32,
    pub l1_table_offset: Be64,

    _refcount_table_offset_to_snapshots_offset: [u8; 24],
    /// From here on, of version 3 alone.
    pub incompatible_features: Be64,
}

const _: () = assert!(offset_of!(Qcow2Header, l1_table_offset) == 40);
const _: () = assert!(offset_of!(Qcow2Header, incompatible_features) == 72);

/// `magic`: `QFI\xfb`.
pub(super) const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

/// VHD: "Hard Disk Footer".
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct VhdFooter {
    pub cookie: [u8; 8],
    _features: Be32,
    _file_format_version: Be32,

    pub data_offset: Be64,
    _time_stamp_to_original_size: [u8; 24],

    pub current_size: Be64,
    _disk_geometry: [u8; 4],
    pub disk_type: Be32,

    pub checksum: Be32,
    pub unique_id: [u8; 16],
    _saved_state_to_end: [u8; 428],
}

const _: () = assert!(size_of::<VhdFooter>() == 512);
const _: () = assert!(offset_of!(VhdFooter, current_size) == 48);
const _: () = assert!(offset_of!(VhdFooter, checksum) == 64);

/// VHD: "Dynamic Disk Header".
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct VhdHeader {
    pub cookie: [u8; 8],
    _data_offset: Be64,

    pub table_offset: Be64,
    _header_version: Be32,
    pub max_table_entries: Be32,

    pub block_size: Be32,
    pub checksum: Be32,
    _parent_unique_id_to_end: [u8; 984],
}

const _: () = assert!(size_of::<VhdHeader>() == 1024);
const _: () = assert!(offset_of!(VhdHeader, checksum) == 36);

/// `cookie` of a footer.
pub(super) const VHD_FOOTER_COOKIE: [u8; 8] = *b"conectix";
/// `cookie` of a dynamic header.
pub(super) const VHD_HEADER_COOKIE: [u8; 8] = *b"cxsparse";
/// The entry, in the block allocation table, of a block that is not in the file.
pub(super) const VHD_NO_BLOCK: u32 = u32::MAX;
