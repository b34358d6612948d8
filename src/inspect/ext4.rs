//! ext4: what the superblock says, and the files, which the `ext4-view` crate reads.
//!
//! The crate is not ours, and so it judges what we write. It takes sizes as it finds them; so
//! what a filesystem says is compared with its volume before the crate sees it, and what a file
//! says of its length before it is read into memory.

use std::collections::BTreeMap;

use ext4_view::{Ext4, Ext4Error, File, Metadata, Path, Uuid};

use super::disk::Volume;
use super::filesystem::FilesystemFault;
use super::format::{EXT4_MAGIC, JOURNAL_BACKUP_BLOCKS, SUPER_BLOCK_OFFSET, SuperBlock};
use super::maps;
use super::show::Escaped;
use crate::job::Job;

/// What the superblock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ext4Facts {
    /// The volume's name: bytes, up to the first NUL.
    pub label: Vec<u8>,
    /// Its identity, in five groups of hex digits.
    pub uuid: String,
    /// The names of its features, as `dumpe2fs` has them.
    pub features: Vec<String>,
    /// Bytes of a block.
    pub block_bytes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Blocks that nothing uses.
    pub free_blocks: u64,
    /// Inodes.
    pub inodes: u64,
    /// Inodes that nothing uses.
    pub free_inodes: u64,
    /// Bytes of the journal; nothing if there is none, or it is elsewhere.
    pub journal_bytes: Option<u64>,
    kind: &'static str,
}

const NAME: &str = "ext4";

/// `s_feature_compat`: the journal.
const HAS_JOURNAL: u32 = 0x4;
/// `s_feature_incompat`: numbers of blocks have 64 bits.
const IS_64BIT: u32 = 0x80;
/// Of ext3, and no more: `filetype`, `needs_recovery`, `journal_dev`, `meta_bg`.
const EXT3_INCOMPAT: u32 = 0x1E;
/// Of ext3, and no more: `sparse_super`, `large_file`, `btree_dir`.
const EXT3_RO_COMPAT: u32 = 0x7;

/// Groups of the largest filesystem that is read: 256 TiB of blocks of 4 KiB.
const MAX_GROUPS: u64 = 1 << 21;
/// Bytes of the largest directory that is read: about what ext4 has with blocks of 4 KiB and
/// without `large_dir`.
const MAX_DIRECTORY_BYTES: u64 = 1 << 30;
/// Bytes of the longest target that Linux knows.
const MAX_TARGET_BYTES: u64 = 4095;

impl Ext4Facts {
    /// What the superblock in `volume` says; nothing if there is none.
    pub(super) fn of(volume: &Volume) -> Result<Option<Self>, FilesystemFault> {
        Ok(superblock(volume)?.as_ref().map(facts))
    }

    /// `ext2`, `ext3` or `ext4`.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Bytes of all blocks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blocks * self.block_bytes
    }

    /// Bytes of the blocks that nothing uses.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free_blocks * self.block_bytes
    }
}

/// The superblock in `volume`, compared with it; nothing if there is none.
fn superblock(volume: &Volume) -> Result<Option<SuperBlock>, FilesystemFault> {
    let magic = EXT4_MAGIC.to_le_bytes();
    if !volume.has_at(SUPER_BLOCK_OFFSET + 0x38, &magic)? {
        return Ok(None);
    }
    let mut bytes = [0; size_of::<SuperBlock>()];
    volume.read_exact_at(&mut bytes, SUPER_BLOCK_OFFSET)?;
    let superblock: SuperBlock = zerocopy::transmute!(bytes);
    check(&superblock, volume)?;
    Ok(Some(superblock))
}

/// Blocks of the filesystem.
pub(super) fn blocks(s: &SuperBlock) -> u64 {
    wide(s, s.s_blocks_count_hi.get(), s.s_blocks_count_lo.get())
}

/// Whether numbers of blocks have 64 bits.
pub(super) fn is_64bit(s: &SuperBlock) -> bool {
    s.s_feature_incompat.get() & IS_64BIT != 0
}

/// A number of which the upper half counts only with 64 bits.
fn wide(s: &SuperBlock, high: u32, low: u32) -> u64 {
    u64::from(low)
        | if is_64bit(s) {
            u64::from(high) << 32
        } else {
            0
        }
}

/// Refuses a superblock whose numbers do not go together, or not into the volume.
fn check(s: &SuperBlock, volume: &Volume) -> Result<(), FilesystemFault> {
    let log = s.s_log_block_size.get();
    require(log <= 6, "s_log_block_size", log)?;
    let block = 1024_u64 << log;
    let blocks = blocks(s);
    let first = s.s_first_data_block.get();
    require(u64::from(first) < blocks, "s_first_data_block", first)?;
    match blocks.checked_mul(block) {
        Some(bytes) if bytes <= volume.size() => {}
        bytes => {
            return Err(FilesystemFault::CutOff {
                filesystem: NAME,
                bytes: bytes.unwrap_or(u64::MAX),
                size: volume.size(),
            });
        }
    }
    let per_group = s.s_blocks_per_group.get();
    let allowed = per_group > 0 && u64::from(per_group) <= 8 * block;
    require(allowed, "s_blocks_per_group", per_group)?;
    let groups = (blocks - u64::from(first)).div_ceil(per_group.into());
    require(groups <= MAX_GROUPS, "the number of groups", groups)?;
    let inodes = s.s_inodes_per_group.get();
    let allowed = inodes > 0 && u64::from(inodes) <= 8 * block;
    require(allowed, "s_inodes_per_group", inodes)?;
    let size = s.s_inode_size.get();
    let allowed = size >= 128 && size.is_power_of_two() && u64::from(size) <= block;
    require(allowed, "s_inode_size", size)?;
    let size = s.s_desc_size.get();
    let has_size = is_64bit(s);
    let allowed = size >= 64 && size.is_power_of_two() && u64::from(size) <= block;
    require(!has_size || allowed, "s_desc_size", size)?;
    let free = wide(
        s,
        s.s_free_blocks_count_hi.get(),
        s.s_free_blocks_count_lo.get(),
    );
    require(free <= blocks, "s_free_blocks_count", free)?;
    let [all, free] = [&s.s_inodes_count, &s.s_free_inodes_count].map(|count| count.get());
    let numbered = groups * u64::from(inodes);
    require(u64::from(all) == numbered, "s_inodes_count", all)?;
    let table_bytes = numbered * u64::from(s.s_inode_size.get());
    require(
        table_bytes <= blocks * block,
        "s_inode_size",
        s.s_inode_size.get(),
    )?;
    require(free <= all, "s_free_inodes_count", free)
}

fn require(
    allowed: bool,
    field: &'static str,
    value: impl Into<u64>,
) -> Result<(), FilesystemFault> {
    if allowed {
        return Ok(());
    }
    Err(FilesystemFault::Field {
        filesystem: NAME,
        field,
        value: value.into(),
    })
}

fn facts(s: &SuperBlock) -> Ext4Facts {
    let label = s.s_volume_name.split(|byte| *byte == 0).next();
    Ext4Facts {
        label: label.unwrap_or_default().to_vec(),
        uuid: Uuid::new(s.s_uuid).to_string(),
        features: features(s),
        block_bytes: 1024 << s.s_log_block_size.get(),
        blocks: blocks(s),
        free_blocks: wide(
            s,
            s.s_free_blocks_count_hi.get(),
            s.s_free_blocks_count_lo.get(),
        ),
        inodes: s.s_inodes_count.get().into(),
        free_inodes: s.s_free_inodes_count.get().into(),
        journal_bytes: journal_bytes(s),
        kind: kind(s),
    }
}

fn kind(s: &SuperBlock) -> &'static str {
    let [compat, incompat, ro_compat] = flags(s);
    if incompat & !EXT3_INCOMPAT != 0 || ro_compat & !EXT3_RO_COMPAT != 0 {
        NAME
    } else if compat & HAS_JOURNAL != 0 {
        "ext3"
    } else {
        "ext2"
    }
}

/// The size of the journal's inode, which the superblock has too.
fn journal_bytes(s: &SuperBlock) -> Option<u64> {
    let is_here =
        s.s_feature_compat.get() & HAS_JOURNAL != 0 && s.s_jnl_backup_type == JOURNAL_BACKUP_BLOCKS;
    let [high, low] = [15, 16].map(|word| u64::from(s.s_jnl_blocks[word].get()));
    is_here.then_some(high << 32 | low)
}

fn flags(s: &SuperBlock) -> [u32; 3] {
    [
        s.s_feature_compat.get(),
        s.s_feature_incompat.get(),
        s.s_feature_ro_compat.get(),
    ]
}

/// The names of bits, from the lowest on, as e2fsprogs has them in `lib/e2p/feature.c`; with
/// the letter that it takes for bits without a name.
const FEATURES: [(char, &[(u32, &str)]); 3] = [
    (
        'C',
        &[
            (0, "dir_prealloc"),
            (1, "imagic_inodes"),
            (2, "has_journal"),
            (3, "ext_attr"),
            (4, "resize_inode"),
            (5, "dir_index"),
            (8, "snapshot_bitmap"),
            (9, "sparse_super2"),
            (10, "fast_commit"),
            (11, "stable_inodes"),
            (12, "orphan_file"),
        ],
    ),
    (
        'I',
        &[
            (0, "compression"),
            (1, "filetype"),
            (2, "needs_recovery"),
            (3, "journal_dev"),
            (4, "meta_bg"),
            (6, "extent"),
            (7, "64bit"),
            (8, "mmp"),
            (9, "flex_bg"),
            (10, "ea_inode"),
            (12, "dirdata"),
            (13, "metadata_csum_seed"),
            (14, "large_dir"),
            (15, "inline_data"),
            (16, "encrypt"),
            (17, "casefold"),
        ],
    ),
    (
        'R',
        &[
            (0, "sparse_super"),
            (1, "large_file"),
            (3, "huge_file"),
            (4, "uninit_bg"),
            (5, "dir_nlink"),
            (6, "extra_isize"),
            (7, "snapshot"),
            (8, "quota"),
            (9, "bigalloc"),
            (10, "metadata_csum"),
            (11, "replica"),
            (12, "read-only"),
            (13, "project"),
            (14, "shared_blocks"),
            (15, "verity"),
            (16, "orphan_present"),
        ],
    ),
];

fn features(s: &SuperBlock) -> Vec<String> {
    let mut names = Vec::new();
    for ((letter, known), flags) in FEATURES.into_iter().zip(flags(s)) {
        for bit in (0..u32::BITS).filter(|bit| flags & 1 << bit != 0) {
            let name = known.iter().find(|(known, _)| *known == bit);
            names.push(match name {
                Some((_, name)) => (*name).to_owned(),
                None => format!("FEATURE_{letter}{bit}"),
            });
        }
    }
    names
}

/// A filesystem whose files can be read, by as many threads as want to.
#[derive(Clone)]
pub(crate) struct Ext4Volume {
    volume: Volume,
    /// Bytes of the filesystem.
    bytes: u64,
    /// Inodes of the filesystem.
    inodes: u64,
}

impl Ext4Volume {
    /// The filesystem in `volume`, if to read its files has an end.
    pub(crate) fn check(volume: &Volume, job: &Job) -> Result<Self, FilesystemFault> {
        // Where there is none, the crate says so.
        let (mut bytes, mut inodes) = (0, 0);
        if let Some(superblock) = superblock(volume)? {
            maps::check(volume, &superblock, job)?;
            let facts = facts(&superblock);
            (bytes, inodes) = (facts.bytes(), facts.inodes);
        }
        Ok(Self {
            volume: volume.clone(),
            bytes,
            inodes,
        })
    }
}

/// The files of a filesystem. A thread has its own: the crate's reader stays on its thread.
pub(crate) struct Ext4Files {
    ext4: Ext4,
    volume: Ext4Volume,
}

/// A file as a directory names it.
pub(crate) struct NamedFile {
    pub name: Vec<u8>,
    pub metadata: Metadata,
}

/// A directory in which no name is looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryFault {
    /// A name that leads to one file or another.
    #[error("{name:?} is there twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// It does not fit in the filesystem, or in memory.
    #[error("it has {bytes} bytes, and may have {limit}")]
    Large {
        /// Bytes, as it says.
        bytes: u64,
        /// Bytes that it may have.
        limit: u64,
    },
}

impl Ext4Files {
    /// Opens the filesystem in `volume`.
    pub(crate) fn open(volume: &Ext4Volume) -> Result<Self, FilesystemFault> {
        let volume = volume.clone();
        let ext4 = Ext4::load(Box::new(volume.volume.clone())).map_err(FilesystemFault::Ext4)?;
        let files = Self { ext4, volume };
        // What names are looked for in before anybody asks for it.
        files.metadata(b"/").map_err(FilesystemFault::Ext4)?;
        Ok(files)
    }

    /// What it was opened of, for another thread.
    pub(crate) fn volume(&self) -> &Ext4Volume {
        &self.volume
    }

    /// Bytes of the filesystem.
    pub(crate) fn bytes(&self) -> u64 {
        self.volume.bytes
    }

    /// As many directories as there can be.
    pub(crate) fn inodes(&self) -> u64 {
        self.volume.inodes
    }

    /// What `path` names, a symlink itself. Nothing before its last name is a symlink, here and
    /// below: the crate would follow it, however long it says to be.
    pub(crate) fn metadata(&self, path: &[u8]) -> Result<Metadata, Ext4Error> {
        let metadata = self.ext4.symlink_metadata(checked(path)?)?;
        self.check(&metadata)?;
        Ok(metadata)
    }

    /// Refuses a directory that is larger than any: the crate looks through all of it.
    fn check(&self, metadata: &Metadata) -> Result<(), Ext4Error> {
        let limit = MAX_DIRECTORY_BYTES.min(self.volume.bytes);
        let bytes = metadata.len();
        if metadata.is_dir() && bytes > limit {
            let fault = DirectoryFault::Large { bytes, limit };
            return Err(Ext4Error::Io(Box::new(fault)));
        }
        Ok(())
    }

    /// The file at `path`, no symlink.
    pub(crate) fn open_file(&self, path: &[u8]) -> Result<File, Ext4Error> {
        self.ext4.open(checked(path)?)
    }

    /// The target of the symlink at `path`.
    pub(crate) fn target(&self, path: &[u8]) -> Result<Vec<u8>, Ext4Error> {
        if self.metadata(path)?.len() > MAX_TARGET_BYTES {
            return Err(Ext4Error::FileTooLarge);
        }
        let target = self.ext4.read_link(checked(path)?)?;
        Ok(target.as_ref().to_vec())
    }

    /// What is in the directory at `path`, in the order of names.
    pub(crate) fn files(&self, path: &[u8]) -> Result<Vec<NamedFile>, Ext4Error> {
        let directory = self.metadata(path)?;
        if !directory.is_dir() {
            return Err(Ext4Error::NotADirectory);
        }
        let mut files = BTreeMap::new();
        for entry in self.ext4.read_dir(checked(path)?)? {
            let entry = entry?;
            let name = entry.file_name().as_ref().to_vec();
            if name != b"." && name != b".." {
                // The entry itself may say another type.
                let metadata = entry.metadata()?;
                // Now, for one block may be there as often as a directory has room for it.
                if files.contains_key(&name) {
                    let name = Escaped(&name).to_string();
                    return Err(Ext4Error::Io(Box::new(DirectoryFault::Twice { name })));
                }
                files.insert(name, metadata);
            }
        }
        let named = |(name, metadata)| NamedFile { name, metadata };
        Ok(files.into_iter().map(named).collect())
    }
}

fn checked(path: &[u8]) -> Result<Path<'_>, Ext4Error> {
    Path::try_from(path).map_err(|_| Ext4Error::MalformedPath)
}
