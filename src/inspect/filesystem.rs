//! Which filesystem a volume holds.

use std::io;

use ext4_view::Ext4Error;

use super::disk::Volume;
use super::ext4::Ext4Facts;
use super::fat::FatFacts;
use super::maps::MapFault;
use crate::job::Stopped;

/// What a volume holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filesystem {
    /// ext4, or ext2 or ext3, which are read as ext4 is.
    Ext4(Ext4Facts),
    /// FAT12, FAT16 or FAT32.
    Fat(FatFacts),
    /// One that has a name, and is not read here.
    Other(&'static str),
}

/// What may be wrong with a filesystem.
#[derive(Debug, thiserror::Error)]
pub enum FilesystemFault {
    /// The disk refuses.
    #[error("the filesystem cannot be read")]
    Read(#[from] io::Error),
    /// It is larger than the volume.
    #[error("the {filesystem} filesystem is cut off: it has {bytes} bytes, and its place {size}")]
    CutOff {
        /// Its name.
        filesystem: &'static str,
        /// Bytes that it has, as it says.
        bytes: u64,
        /// Bytes of the volume.
        size: u64,
    },
    /// A field has a value that it cannot have.
    #[error("the {filesystem} filesystem is damaged; `e2fsck -f` mends it: {field} is {value}")]
    Field {
        /// The filesystem's name.
        filesystem: &'static str,
        /// The field, as the format's document calls it.
        field: &'static str,
        /// What was found.
        value: u64,
    },
    /// To read its files might have no end.
    #[error("the ext4 filesystem is damaged; `e2fsck -f` mends it")]
    Maps(#[from] MapFault),
    /// The reader of ext4 stumbled.
    #[error("the ext4 filesystem cannot be read; `e2fsck -f` mends it")]
    Ext4(#[source] Ext4Error),
    /// The reader of FAT stumbled.
    #[error("the FAT filesystem cannot be read; `fsck.fat -n` says what is damaged: {reason}")]
    Fat {
        /// The reader's reason.
        reason: String,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What other filesystems, and what is none, begin with: the offset, the bytes, the name.
const OTHERS: [(u64, &[u8], &str); 14] = [
    (0, b"XFSB", "xfs"),
    (0, b"hsqs", "squashfs"),
    (0, b"LUKS\xba\xbe", "LUKS"),
    (3, b"NTFS    ", "ntfs"),
    (3, b"EXFAT   ", "exfat"),
    (512, b"LABELONE", "LVM"),
    (1024, b"\xe2\xe1\xf5\xe0", "erofs"),
    (1024, b"\x10\x20\xf5\xf2", "f2fs"),
    (4076, b"SWAP-SPACE", "swap"),
    (4086, b"SWAPSPACE2", "swap"),
    (0x8001, b"CD001", "iso9660"),
    (0x10040, b"_BHRfS_M", "btrfs"),
    (4096, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca", "bcachefs"),
    (TAR_OFFSET, b"ustar", TAR),
];

/// A tar archive, which is no filesystem, and which our builder makes too.
pub(super) const TAR: &str = "a tar archive";
const TAR_OFFSET: u64 = 257;

impl Filesystem {
    /// What `volume` holds, if it is known.
    pub(super) fn of(volume: &Volume) -> Result<Option<Self>, FilesystemFault> {
        if let Some(facts) = Ext4Facts::of(volume)? {
            return Ok(Some(Self::Ext4(facts)));
        }
        for (offset, magic, name) in OTHERS {
            if volume.has_at(offset, magic)? {
                return Ok(Some(Self::Other(name)));
            }
        }
        Ok(FatFacts::of(volume)?.map(Self::Fat))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ext4(facts) => facts.kind(),
            Self::Fat(facts) => facts.kind(),
            Self::Other(name) => name,
        }
    }
}
