//! What a user may choose of a filesystem.

use std::fmt;
use std::str::FromStr;

use crate::tree::Timestamp;

/// The choices that make one filesystem of a tree.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the volume.
    pub label: Label,
    /// Identity of the volume.
    pub volume_id: VolumeId,
    /// Bits of an entry of the table; by the number of clusters, as mkfs.fat has it, if
    /// not given.
    pub fat_type: Option<FatType>,
    /// Bytes of the whole filesystem; the least that will do if not given.
    pub size: Option<u64>,
    /// Bytes to leave free at least, rounded up to clusters.
    pub free_bytes: u64,
    /// Bytes that files are rounded up to; what mkfs.fat takes, or less if that needs too
    /// much, if not given.
    pub cluster_size: Option<ClusterSize>,
    /// Bytes of a sector of the disk.
    pub sector_size: SectorSize,
    /// Sectors of the disk before the filesystem: where its partition starts.
    pub hidden_sectors: u32,
    /// The time of everything, rounded down to two seconds: from 1980 to 2107.
    pub time: Timestamp,
}

/// How wide the entries of the file allocation table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FatType {
    /// 12 bits: up to 4,084 clusters.
    Fat12,
    /// 16 bits: up to 65,524 clusters.
    Fat16,
    /// 32 bits, of which 28 count: more clusters.
    Fat32,
}

/// A name that is no type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no type of FAT; there are fat12, fat16 and fat32")]
pub struct FatTypeError {
    /// The text.
    pub text: String,
}

/// A volume's name: up to 11 characters, in upper case, padded with spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label([u8; Label::MAX_LENGTH]);

/// A name that no volume has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{label:?} is no label of a FAT filesystem; one has 1 to 11 of the characters A-Z, 0-9, space and {}, is written in upper case, and neither begins nor ends with a space",
    Label::SYMBOLS
)]
pub struct LabelError {
    /// What was asked for.
    pub label: String,
}

/// A volume's serial number, which is what `blkid` calls its UUID.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VolumeId(pub u32);

/// Text that is no serial number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no volume id; one has 8 hex digits, as 0x2178694e or 2178-694E")]
pub struct VolumeIdError {
    /// The text.
    pub text: String,
}

/// Bytes of a cluster: a power of two from 512 to 32,768.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterSize(u32);

/// A number that no cluster has as its size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster cannot have {bytes} bytes; it has a power of two from 512 to 32768")]
pub struct ClusterSizeError {
    /// What was asked for.
    pub bytes: u64,
}

/// Bytes of a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectorSize {
    /// 512, as nearly every disk says it has.
    Bytes512,
    /// 4,096.
    Bytes4096,
}

/// A number that no sector has as its size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sector cannot have {bytes} bytes; it has 512 or 4096")]
pub struct SectorSizeError {
    /// What was asked for.
    pub bytes: u64,
}

impl Options {
    /// 2000-01-01 00:00:00 UTC, the time of the firmware partition in nixpkgs' SD images.
    pub const DEFAULT_TIME: Timestamp = Timestamp::from_seconds(946_684_800);

    /// The choices of someone who only chose an identity.
    #[must_use]
    pub fn new(volume_id: VolumeId) -> Self {
        Self {
            label: Label::default(),
            volume_id,
            fat_type: None,
            size: None,
            free_bytes: 0,
            cluster_size: None,
            sector_size: SectorSize::Bytes512,
            hidden_sectors: 0,
            time: Self::DEFAULT_TIME,
        }
    }
}

impl FatType {
    /// The narrowest first.
    pub(super) const ALL: [Self; 3] = [Self::Fat12, Self::Fat16, Self::Fat32];

    /// The fewest clusters: with fewer a reader takes it for a narrower type. GRUB takes a
    /// FAT16 of 4,085 for a FAT12; we stay 16 away from either limit, as Microsoft advises.
    pub(super) fn min_clusters(self) -> u64 {
        match self {
            Self::Fat12 => 1,
            Self::Fat16 => 4085 + 16,
            Self::Fat32 => 65525 + 16,
        }
    }

    /// The most clusters, likewise.
    pub(super) fn max_clusters(self) -> u64 {
        match self {
            Self::Fat12 => 4084 - 16,
            Self::Fat16 => 65524 - 16,
            Self::Fat32 => 0x0FFF_FFF5,
        }
    }
}

impl FromStr for FatType {
    type Err = FatTypeError;

    fn from_str(text: &str) -> Result<Self, FatTypeError> {
        Self::ALL
            .into_iter()
            .find(|fat_type| fat_type.to_string().eq(text))
            .ok_or_else(|| FatTypeError { text: text.into() })
    }
}

/// As it is written in attributes.
impl fmt::Display for FatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fat12 => "fat12",
            Self::Fat16 => "fat16",
            Self::Fat32 => "fat32",
        })
    }
}

impl Label {
    /// Bytes of every label, with its padding.
    pub const MAX_LENGTH: usize = 11;
    /// What stands in the boot sector of a volume that has no name.
    const NONE: [u8; Self::MAX_LENGTH] = *b"NO NAME    ";
    /// What may be in a label beside letters, digits and spaces.
    const SYMBOLS: &str = "!#$%&'()-@^_`{}~";

    /// The bytes on disk, padded with spaces.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::MAX_LENGTH] {
        &self.0
    }

    /// Whether the volume has a name, and so an entry for it in its root.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.0 != Self::NONE
    }

    /// The text, with its padding.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a label has ASCII characters")
    }
}

/// No name.
impl Default for Label {
    fn default() -> Self {
        Self(Self::NONE)
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let allowed = |byte: u8| {
            byte.is_ascii_alphanumeric() || byte == b' ' || Self::SYMBOLS.as_bytes().contains(&byte)
        };
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.trim_matches(' ') == text
            && text.bytes().all(allowed);
        if !fits {
            return Err(LabelError { label: text.into() });
        }
        let mut bytes = [b' '; Self::MAX_LENGTH];
        bytes[..text.len()].copy_from_slice(text.to_ascii_uppercase().as_bytes());
        Ok(Self(bytes))
    }
}

impl FromStr for VolumeId {
    type Err = VolumeIdError;

    fn from_str(text: &str) -> Result<Self, VolumeIdError> {
        let digits = match (text.strip_prefix("0x"), text.split_once('-')) {
            (Some(digits), _) if digits.len() == 8 => Some(digits.to_owned()),
            (None, Some((high, low))) if high.len() == 4 && low.len() == 4 => {
                Some(format!("{high}{low}"))
            }
            _ => None,
        };
        digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(&digits, 16).ok())
            .map(Self)
            .ok_or_else(|| VolumeIdError { text: text.into() })
    }
}

/// As `blkid` shows it.
impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}-{:04X}", self.0 >> 16, self.0 & 0xFFFF)
    }
}

impl fmt::Debug for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ClusterSize {
    /// All, the smallest first.
    pub(super) const ALL: [Self; 7] = [
        Self(512),
        Self(1024),
        Self(2048),
        Self(4096),
        Self(8192),
        Self(16384),
        Self(32768),
    ];

    /// Bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0.into()
    }
}

impl TryFrom<u64> for ClusterSize {
    type Error = ClusterSizeError;

    fn try_from(bytes: u64) -> Result<Self, ClusterSizeError> {
        Self::ALL
            .into_iter()
            .find(|size| size.bytes() == bytes)
            .ok_or(ClusterSizeError { bytes })
    }
}

impl SectorSize {
    /// Bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::Bytes512 => 512,
            Self::Bytes4096 => 4096,
        }
    }
}

impl TryFrom<u64> for SectorSize {
    type Error = SectorSizeError;

    fn try_from(bytes: u64) -> Result<Self, SectorSizeError> {
        match bytes {
            512 => Ok(Self::Bytes512),
            4096 => Ok(Self::Bytes4096),
            _ => Err(SectorSizeError { bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_id_reads_in_both_ways_and_prints_as_blkid_does() {
        for text in ["0x2178694e", "0x2178694E", "2178-694E", "2178-694e"] {
            assert_eq!(text.parse(), Ok(VolumeId(0x2178_694e)), "{text}");
        }
        assert_eq!(VolumeId(0x0078_000e).to_string(), "0078-000E");
        for text in [
            "",
            "0x",
            "2178694e",
            "0x2178694",
            "0x+178694e",
            "2178-69-4",
            "2178-694g",
        ] {
            assert!(text.parse::<VolumeId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_label_is_in_upper_case_and_padded() {
        let label = |text: &str| text.parse::<Label>().map(|label| *label.as_bytes());
        assert_eq!(label("Nixos_Boot"), Ok(*b"NIXOS_BOOT "));
        assert_eq!(
            label("exactly 11."),
            Err(LabelError {
                label: "exactly 11.".into()
            })
        );
        assert_eq!(label("EXACTLY 11!"), Ok(*b"EXACTLY 11!"));
        for text in ["", " A", "A ", "TWELVE CHARS", "ä", "A/B", "A\n"] {
            assert!(label(text).is_err(), "{text:?}");
        }
        assert!(!Label::default().is_some());
    }

    #[test]
    fn types_and_sizes_are_those_that_exist() {
        for fat_type in FatType::ALL {
            assert_eq!(fat_type.to_string().parse(), Ok(fat_type));
        }
        assert!("vfat".parse::<FatType>().is_err());
        for bytes in [0, 256, 1000, 65536, 1 << 40] {
            assert!(ClusterSize::try_from(bytes).is_err(), "{bytes}");
        }
        assert_eq!(
            ClusterSize::try_from(4096).map(ClusterSize::bytes),
            Ok(4096)
        );
        assert!(SectorSize::try_from(1024).is_err());
    }
}
