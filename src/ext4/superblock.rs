//! The superblock: what the filesystem is, and how full.

use zerocopy::IntoBytes;

use super::checksum::Checksum;
use super::features::{Feature, Features, Word};
use super::format::{
    CHECKSUM_CRC32C, DEFAULT_MOUNT_OPTIONS, ERRORS_CONTINUE, EXTRA_ISIZE, FLAG_SIGNED_HASH,
    GroupDescriptor, HASH_HALF_MD4, JOURNAL_BACKUP_BLOCKS, MOUNT_COUNT_UNLIMITED, REVISION_DYNAMIC,
    STATE_VALID, SUPERBLOCK_MAGIC, SuperBlock, zeroed,
};
use super::geometry::Shape;
use super::options::{Options, Uuid};
use super::units::{BLOCK_SIZE, BLOCKS_PER_GROUP_U32, Group, INODE_SIZE, InodeNumber, u16_of};

/// What the superblock says that does not follow from the shape and the options.
pub(super) struct Facts {
    pub blocks: u64,
    pub free_blocks: u64,
    pub free_inodes: u32,
    /// Blocks that files cannot have: metadata and the journal.
    pub overhead_blocks: u64,
    /// What the filesystem has of the features that were asked for.
    pub features: Features,
    pub journal: Option<JournalFacts>,
    pub orphan_file: Option<InodeNumber>,
}

/// What the superblock says of the journal, to find it if its inode is lost.
pub(super) struct JournalFacts {
    /// `i_block` of its inode.
    pub map: [u8; 60],
    /// Bytes.
    pub size: u64,
}

/// The superblock as it stands in `group`.
pub(super) fn encode(shape: Shape, options: &Options, facts: &Facts, group: Group) -> [u8; 1024] {
    let mut superblock: SuperBlock = zeroed();
    let s = &mut superblock;
    s.s_magic.set(SUPERBLOCK_MAGIC);
    s.s_rev_level.set(REVISION_DYNAMIC);
    s.s_block_group_nr
        .set(u16::try_from(group.0).unwrap_or(u16::MAX));
    encode_identity(s, options);
    encode_geometry(s, shape, facts);
    let reserved = options.reserved_percent.of(facts.blocks);
    (s.s_r_blocks_count_lo, s.s_r_blocks_count_hi) = words(reserved);
    encode_features(s, &facts.features, options.uuid);
    encode_state(s, options.time);
    if let Some(journal) = &facts.journal {
        encode_journal(s, journal);
    }
    s.s_orphan_file_inum
        .set(facts.orphan_file.map_or(0, |number| number.0));
    if facts.features.has(Feature::MetadataCsum) {
        let covered = superblock.as_bytes().len() - size_of::<u32>();
        let sum = Checksum::START
            .with(&superblock.as_bytes()[..covered])
            .value();
        superblock.s_checksum.set(sum);
    }
    superblock
        .as_bytes()
        .try_into()
        .expect("a superblock has 1024 bytes")
}

fn encode_identity(s: &mut SuperBlock, options: &Options) {
    s.s_uuid = options.uuid.0;
    s.s_volume_name = *options.label.as_bytes();
    s.s_hash_seed = options.hash_seed.0;
    s.s_def_hash_version = HASH_HALF_MD4;
    s.s_flags.set(FLAG_SIGNED_HASH);
}

fn encode_geometry(s: &mut SuperBlock, shape: Shape, facts: &Facts) {
    let log_block_size = BLOCK_SIZE.ilog2() - 10;
    s.s_log_block_size.set(log_block_size);
    s.s_log_cluster_size.set(log_block_size);
    s.s_blocks_per_group.set(BLOCKS_PER_GROUP_U32);
    s.s_clusters_per_group.set(BLOCKS_PER_GROUP_U32);
    s.s_inodes_per_group.set(shape.inodes_per_group);
    s.s_inodes_count.set(shape.groups * shape.inodes_per_group);
    s.s_first_ino.set(InodeNumber::FIRST.0);
    s.s_inode_size.set(u16_of(INODE_SIZE));
    s.s_min_extra_isize.set(EXTRA_ISIZE);
    s.s_want_extra_isize.set(EXTRA_ISIZE);
    s.s_log_groups_per_flex = shape.log_groups_per_flex;
    s.s_reserved_gdt_blocks
        .set(u16::try_from(shape.reserved_descriptor_blocks()).expect("there are at most 1024"));
    s.s_free_inodes_count.set(facts.free_inodes);
    (s.s_blocks_count_lo, s.s_blocks_count_hi) = words(facts.blocks);
    (s.s_free_blocks_count_lo, s.s_free_blocks_count_hi) = words(facts.free_blocks);
    s.s_overhead_clusters = words(facts.overhead_blocks).0;
}

fn encode_features(s: &mut SuperBlock, features: &Features, uuid: Uuid) {
    s.s_feature_compat.set(features.bits(Word::Compat));
    s.s_feature_incompat.set(features.bits(Word::Incompat));
    s.s_feature_ro_compat.set(features.bits(Word::RoCompat));
    s.s_default_mount_opts.set(DEFAULT_MOUNT_OPTIONS);
    if features.has(Feature::Bit64) {
        s.s_desc_size.set(u16_of(size_of::<GroupDescriptor>()));
    }
    if features.has(Feature::MetadataCsum) {
        s.s_checksum_type = CHECKSUM_CRC32C;
    }
    if features.has(Feature::MetadataCsumSeed) {
        s.s_checksum_seed.set(Checksum::of_filesystem(uuid).value());
    }
}

fn encode_state(s: &mut SuperBlock, time: u32) {
    s.s_state.set(STATE_VALID);
    s.s_errors.set(ERRORS_CONTINUE);
    s.s_max_mnt_count.set(MOUNT_COUNT_UNLIMITED);
    s.s_mkfs_time.set(time);
    s.s_wtime.set(time);
    s.s_lastcheck.set(time);
}

fn encode_journal(s: &mut SuperBlock, journal: &JournalFacts) {
    s.s_journal_inum.set(InodeNumber::JOURNAL.0);
    s.s_jnl_backup_type = JOURNAL_BACKUP_BLOCKS;
    let (map, _) = journal.map.as_chunks::<4>();
    for (word, bytes) in s.s_jnl_blocks.iter_mut().zip(map) {
        *word = (*bytes).into();
    }
    let (size_low, size_high) = words(journal.size);
    s.s_jnl_blocks[15] = size_high;
    s.s_jnl_blocks[16] = size_low;
}

#[expect(clippy::cast_possible_truncation, reason = "it is cut in two")]
fn words(value: u64) -> (zerocopy::little_endian::U32, zerocopy::little_endian::U32) {
    ((value as u32).into(), ((value >> 32) as u32).into())
}
