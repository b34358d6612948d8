//! What a user may choose of a filesystem.

use std::fmt;
use std::str::FromStr;

use ring::digest::{Context, SHA256};

use super::directory::Style;
use super::features::{Feature, Features};
use super::units::{BLOCK_BYTES, BLOCKS_PER_GROUP, blocks_of};
use crate::tree::Timestamp;

/// The choices that make one filesystem of a tree.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the volume.
    pub label: Label,
    /// Identity of the volume.
    pub uuid: Uuid,
    /// Key of the directory hash; derived from the UUID by [`HashSeed::of`] unless given.
    pub hash_seed: HashSeed,
    /// Time of the filesystem itself and of what the tree has no time for: seconds
    /// from 1970.
    pub time: u32,
    /// What the filesystem uses of ext4.
    pub features: Features,
    /// Bytes of the whole image; the least that will do if not given.
    pub size: Option<u64>,
    /// Bytes to leave free at least, rounded up to blocks.
    pub free_bytes: u64,
    /// Inodes to leave free at least.
    pub free_inodes: u32,
    /// Hundredths of the blocks that only root may take.
    pub reserved_percent: ReservedPercent,
    /// Bytes of disk for each inode; there are more if the tree needs more.
    pub inode_ratio: InodeRatio,
    /// Bytes of the journal; what mke2fs takes for the size, at least 16 MiB, if not
    /// given.
    pub journal_size: Option<JournalSize>,
    /// Bytes of the largest disk that the filesystem may grow to while it is mounted.
    pub grow_to: GrowTo,
}

/// A volume's name: at most [`Label::MAX_LENGTH`] bytes, without NUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label([u8; Label::MAX_LENGTH]);

/// A name that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the label {label:?} has {} bytes; an ext4 label has at most {} and no NUL", label.len(), Label::MAX_LENGTH)]
pub struct LabelTooLong {
    /// What was asked for.
    pub label: String,
}

/// A UUID, as its bytes stand on disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

/// Text that is no UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no UUID; one has 32 hex digits in groups of 8-4-4-4-12, as 44444444-4444-4444-8888-888888888888"
)]
pub struct UuidError {
    /// The text.
    pub text: String,
}

/// The key of the hash that orders large directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSeed(pub [u8; 16]);

/// A share of the blocks, in hundredths: 0 to 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedPercent(u8);

/// Bytes of disk for each inode: 4 KiB to 64 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InodeRatio(u32);

/// Bytes of a journal: 4 MiB to 40 GB, in whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalSize(u64);

/// Bytes of a disk to grow to: below 16 TiB, where block numbers need more than the 32
/// bits that the resize inode has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrowTo(u64);

/// A number out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} is out of range: {expected}")]
pub struct OutOfRange {
    /// What was asked for.
    pub value: u64,
    /// What is allowed.
    pub expected: &'static str,
}

impl TryFrom<u64> for ReservedPercent {
    type Error = OutOfRange;

    fn try_from(percent: u64) -> Result<Self, OutOfRange> {
        let error = OutOfRange {
            value: percent,
            expected: "expected 0 to 50 percent",
        };
        u8::try_from(percent)
            .ok()
            .filter(|percent| *percent <= 50)
            .map(Self)
            .ok_or(error)
    }
}

impl ReservedPercent {
    /// mke2fs' default.
    pub const DEFAULT: Self = Self(5);

    /// So much of `blocks`, rounded down.
    pub(super) fn of(self, blocks: u64) -> u64 {
        blocks * u64::from(self.0) / 100
    }
}

impl TryFrom<u64> for InodeRatio {
    type Error = OutOfRange;

    fn try_from(bytes: u64) -> Result<Self, OutOfRange> {
        let error = OutOfRange {
            value: bytes,
            expected: "expected 4096 (4 KiB) to 67108864 (64 MiB) bytes of disk for each inode",
        };
        u32::try_from(bytes)
            .ok()
            .filter(|bytes| (4 << 10..=64 << 20).contains(bytes))
            .map(Self)
            .ok_or(error)
    }
}

impl InodeRatio {
    /// mke2fs' default: 16 KiB.
    pub const DEFAULT: Self = Self(16384);

    /// Bytes of disk.
    pub(super) fn bytes(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for JournalSize {
    type Error = OutOfRange;

    fn try_from(bytes: u64) -> Result<Self, OutOfRange> {
        const MAX: u64 = 10_240_000 * BLOCK_BYTES;
        if bytes.is_multiple_of(BLOCK_BYTES) && (1024 * BLOCK_BYTES..=MAX).contains(&bytes) {
            return Ok(Self(bytes));
        }
        Err(OutOfRange {
            value: bytes,
            expected: "expected 4194304 (4 MiB) to 41943040000 bytes, a multiple of 4096",
        })
    }
}

impl JournalSize {
    /// Blocks of the journal.
    pub(super) fn blocks(self) -> u32 {
        u32::try_from(self.0 / BLOCK_BYTES).expect("the largest journal has 10,240,000 blocks")
    }
}

impl TryFrom<u64> for GrowTo {
    type Error = OutOfRange;

    fn try_from(bytes: u64) -> Result<Self, OutOfRange> {
        if bytes < 16 << 40 {
            return Ok(Self(bytes));
        }
        Err(OutOfRange {
            value: bytes,
            expected: "expected fewer than 17592186044416 bytes (16 TiB), which is as far as the resize inode reaches",
        })
    }
}

impl GrowTo {
    /// 4 TiB: larger than the cards and volumes of today.
    pub const DEFAULT: Self = Self(4 << 40);

    /// Block groups of such a disk.
    pub(super) fn groups(self) -> u32 {
        let groups = blocks_of(self.0).div_ceil(BLOCKS_PER_GROUP);
        u32::try_from(groups).expect("16 TiB have 131,072 groups")
    }
}

impl Options {
    /// The time of what belongs to the filesystem itself.
    pub(super) fn filesystem_time(&self) -> Timestamp {
        Timestamp::from_seconds(self.time.into())
    }

    /// How the filesystem has its directories.
    pub(super) fn directory_style(&self) -> Style {
        Style {
            seed: self.hash_seed,
            indexed: self.features.has(Feature::DirIndex),
            checksums: self.features.has(Feature::MetadataCsum),
        }
    }

    /// The choices of someone who only chose a UUID.
    #[must_use]
    pub fn new(uuid: Uuid) -> Self {
        Self {
            label: Label::default(),
            uuid,
            hash_seed: HashSeed::of(uuid),
            time: 1,
            features: Features::default_profile(),
            size: None,
            free_bytes: Self::DEFAULT_FREE_BYTES,
            free_inodes: Self::DEFAULT_FREE_INODES,
            reserved_percent: ReservedPercent::DEFAULT,
            inode_ratio: InodeRatio::DEFAULT,
            journal_size: None,
            grow_to: GrowTo::DEFAULT,
        }
    }

    /// Free bytes unless told otherwise: what nixpkgs' `make-ext4-fs.nix` leaves, for
    /// a first boot needs some.
    pub const DEFAULT_FREE_BYTES: u64 = 16 << 20;
    /// Free inodes unless told otherwise.
    pub const DEFAULT_FREE_INODES: u32 = 1024;
}

impl Label {
    /// Bytes in the longest label.
    pub const MAX_LENGTH: usize = 16;

    /// The bytes on disk, padded with NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::MAX_LENGTH] {
        &self.0
    }
}

impl FromStr for Label {
    type Err = LabelTooLong;

    fn from_str(text: &str) -> Result<Self, LabelTooLong> {
        if text.len() > Self::MAX_LENGTH || text.contains('\0') {
            return Err(LabelTooLong { label: text.into() });
        }
        let mut bytes = [0; Self::MAX_LENGTH];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let error = || UuidError { text: text.into() };
        let groups: Vec<_> = text.split('-').map(str::len).collect();
        if groups != [8, 4, 4, 4, 12] {
            return Err(error());
        }
        let digits = text.replace('-', "");
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .map_err(|_| error())?;
        bytes.try_into().map(Self).map_err(|_| error())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = data_encoding::HEXLOWER.encode(&self.0);
        write!(
            f,
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl HashSeed {
    /// The seed of a filesystem whose user gave none: the first half of a SHA-256, so
    /// that a UUID has one seed for ever.
    #[must_use]
    pub fn of(uuid: Uuid) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(b"nix2image ext4 directory hash seed");
        hash.update(&uuid.0);
        let mut seed = [0; 16];
        seed.copy_from_slice(&hash.finish().as_ref()[..16]);
        Self(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_reads_as_it_prints() {
        let text = "44444444-4444-4444-8888-888888888888";
        let uuid: Uuid = text.parse().unwrap();
        assert_eq!(uuid.0[7..9], [0x44, 0x88]);
        assert_eq!(uuid.to_string(), text);
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in [
            "",
            "44444444",
            "44444444-4444-4444-8888-88888888888g",
            "4444444-44444-4444-8888-888888888888",
        ] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_label_has_at_most_16_bytes() {
        assert!("exactly 16 bytes".parse::<Label>().is_ok());
        assert!("seventeen bytes..".parse::<Label>().is_err());
        assert!("ümlaute in label".parse::<Label>().is_err());
    }
}
