//! What a user may choose of a disk.

use std::fmt;
use std::str::FromStr;

use gpt_disk_types::{GptPartitionName, guid};
use ring::digest::{Context, SHA256};

use super::Grub;
use crate::source::Source;

/// The choices that make a disk of some volumes.
#[derive(Debug)]
pub struct Disk {
    /// What tells where the partitions are.
    pub table: Table,
    /// Bytes: where a partition may begin whose start is not given; a multiple of the
    /// sector size.
    pub align: u64,
    /// Bytes of the whole disk; as many as are needed, in whole units of `align`, if not
    /// given.
    pub size: Option<u64>,
    /// By number, less one.
    pub partitions: Vec<Partition>,
    /// Files at places of their own.
    pub raw: Vec<Raw>,
    /// What a BIOS starts.
    pub grub: Option<Grub>,
}

/// What tells where the partitions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Nothing: the disk is one volume.
    None,
    /// A master boot record; sectors of 512 bytes.
    Mbr {
        /// Identity of the disk.
        id: MbrId,
    },
    /// A GUID partition table, its backup, and a protective master boot record.
    Gpt {
        /// Identity of the disk.
        guid: Guid,
        /// Sectors of the disk.
        sector_size: SectorSize,
    },
}

/// One partition, but for its content.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Its name in a GPT, and in messages.
    pub name: PartitionName,
    /// What it is for; of a table that has no types, anything.
    pub kind: Option<PartitionType>,
    /// Its identity in a GPT; derived from the disk's and the number if not given.
    pub guid: Option<Guid>,
    /// Bytes from the start of the disk; behind all partitions of lower numbers if not
    /// given.
    pub start: Option<u64>,
    /// Bytes: what the start is a multiple of, if it is not given; the disk's if not
    /// given either.
    pub align: Option<u64>,
    /// How large it is.
    pub size: Size,
    /// Flags in a GPT.
    pub attributes: Attributes,
    /// Whether a BIOS is told to start it: "active" in a master boot record, "legacy BIOS
    /// bootable" in a GPT.
    pub bootable: bool,
}

/// How large a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As large as its content.
    Fit,
    /// So many bytes, a multiple of the sector size.
    Exact(u64),
    /// All that is left behind its start.
    Rest,
}

/// A file at a place of its own, outside all partitions.
#[derive(Clone, Debug)]
pub struct Raw {
    /// What it is called in messages.
    pub name: String,
    /// Bytes from the start of the disk.
    pub offset: u64,
    /// The file.
    pub source: Source,
}

/// Bytes of a sector: 512 or 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectorSize(u32);

/// A size that no sector has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} is no size of a sector, expected 512 or 4096")]
pub struct SectorSizeError {
    /// The size, in bytes.
    pub found: u64,
}

impl SectorSize {
    /// What nearly all disks show.
    pub const BYTES_512: Self = Self(512);

    /// Bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0.into()
    }
}

impl TryFrom<u64> for SectorSize {
    type Error = SectorSizeError;

    fn try_from(bytes: u64) -> Result<Self, SectorSizeError> {
        match bytes {
            512 => Ok(Self(512)),
            4096 => Ok(Self(4096)),
            found => Err(SectorSizeError { found }),
        }
    }
}

/// A GUID, as UEFI writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guid(pub(super) gpt_disk_types::Guid);

/// Text that is no GUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no GUID; one has 32 hex digits in groups of 8-4-4-4-12, as f222513b-ded1-49fa-b591-20ce86a2fe7f"
)]
pub struct GuidError {
    /// The text.
    pub text: String,
}

impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, GuidError> {
        gpt_disk_types::Guid::try_parse(text)
            .map(Self)
            .map_err(|_| GuidError { text: text.into() })
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Guid {
    /// The identity of the partition `number` of a disk with this one: a UUID of version 8
    /// (RFC 9562) from a SHA-256.
    pub(super) fn of_partition(self, number: usize) -> Self {
        let mut bytes = derived(b"partition", &self.0.to_bytes(), number);
        // The first three fields of a GUID are little-endian on disk.
        bytes[7] = bytes[7] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(gpt_disk_types::Guid::from_bytes(bytes))
    }
}

/// A serial number for the volume in the partition `number` of a disk with this table.
#[must_use]
pub fn volume_id(table: Table, number: usize) -> u32 {
    let bytes: [u8; 16] = match table {
        Table::None => derived(b"volume", &[], number),
        Table::Mbr { id } => derived(b"volume", &id.0.to_le_bytes(), number),
        Table::Gpt { guid, .. } => derived(b"volume", &guid.0.to_bytes(), number),
    };
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Bytes that hang on the identity of a disk and the number of a partition alone.
fn derived(what: &[u8], identity: &[u8], number: usize) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    context.update(b"nix2image ");
    context.update(what);
    context.update(identity);
    context.update(&(number as u64).to_le_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&context.finish().as_ref()[..16]);
    bytes
}

/// The identity of a disk in its master boot record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MbrId(pub u32);

/// Text that is no identity of a disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no disk id; one is 0x and at most 8 hex digits, as 0x2178694e")]
pub struct MbrIdError {
    /// The text.
    pub text: String,
}

impl FromStr for MbrId {
    type Err = MbrIdError;

    fn from_str(text: &str) -> Result<Self, MbrIdError> {
        text.strip_prefix("0x")
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or_else(|| MbrIdError { text: text.into() })
    }
}

/// A partition's name: at most [`PartitionName::MAX_UNITS`] units of UTF-16, without NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionName(String);

/// A name that a GPT cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is no name of a partition; one has at most {} units of UTF-16 and no NUL",
    PartitionName::MAX_UNITS
)]
pub struct PartitionNameError {
    /// What was asked for.
    pub name: String,
}

impl PartitionName {
    /// Units that a GPT has room for.
    pub const MAX_UNITS: usize = 36;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn encode(&self) -> GptPartitionName {
        let mut bytes = GptPartitionName([0; 2 * Self::MAX_UNITS]);
        for (place, unit) in bytes.0.chunks_exact_mut(2).zip(self.0.encode_utf16()) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
        bytes
    }
}

impl FromStr for PartitionName {
    type Err = PartitionNameError;

    fn from_str(name: &str) -> Result<Self, PartitionNameError> {
        if name.encode_utf16().count() > Self::MAX_UNITS || name.contains('\0') {
            return Err(PartitionNameError { name: name.into() });
        }
        Ok(Self(name.into()))
    }
}

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// One that has a name here.
    Named(&'static NamedType),
    /// A number of a master boot record.
    Mbr(u8),
    /// A GUID of a GPT.
    Gpt(Guid),
}

impl fmt::Display for PartitionType {
    /// As an attribute says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(named) => f.write_str(named.name),
            Self::Mbr(number) => write!(f, "{number:#04x}"),
            Self::Gpt(Guid(guid)) => write!(f, "{guid}"),
        }
    }
}

/// A type that both kinds of table may have.
#[derive(Debug, PartialEq, Eq)]
pub struct NamedType {
    /// What it is called in the attributes.
    pub name: &'static str,
    /// Its number in a master boot record.
    pub(super) mbr: Option<u8>,
    /// Its GUID in a GPT.
    pub(super) gpt: gpt_disk_types::Guid,
}

/// By the UEFI specification, the Discoverable Partitions Specification and GNU parted.
static NAMED_TYPES: [NamedType; 7] = [
    NamedType {
        name: "esp",
        mbr: Some(0xef),
        gpt: guid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
    },
    NamedType {
        name: "xbootldr",
        mbr: Some(0xea),
        gpt: guid!("bc13c2ff-59e6-4262-a352-b275fd6f7172"),
    },
    NamedType {
        name: BIOS_BOOT,
        mbr: None,
        gpt: guid!("21686148-6449-6e6f-744e-656564454649"),
    },
    NamedType {
        name: "fat32",
        mbr: Some(0x0c),
        gpt: guid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"),
    },
    NamedType {
        name: "linux",
        mbr: Some(0x83),
        gpt: guid!("0fc63daf-8483-4772-8e79-3d69d8477de4"),
    },
    NamedType {
        name: "linux-root-x86-64",
        mbr: Some(0x83),
        gpt: guid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
    },
    NamedType {
        name: "linux-root-arm64",
        mbr: Some(0x83),
        gpt: guid!("b921b045-1df0-41c3-af44-4c6f280d3fae"),
    },
];

const BIOS_BOOT: &str = "bios-boot";

/// Text that names no type of a partition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no type of a partition, expected {}",
    PartitionType::ALLOWED
)]
pub struct PartitionTypeError {
    /// The text.
    pub text: String,
}

impl PartitionType {
    /// What a user may write.
    pub const ALLOWED: &str = "\"esp\", \"xbootldr\", \"bios-boot\", \"fat32\", \"linux\", \
         \"linux-root-x86-64\", \"linux-root-arm64\", a number for an MBR such as \"0x0b\", or \
         a GUID for a GPT";

    /// Whether GRUB's core belongs there.
    pub(super) fn is_bios_boot(self) -> bool {
        let named = NAMED_TYPES.iter().find(|named| named.name == BIOS_BOOT);
        named.is_some_and(|named| self.gpt() == Some(named.gpt))
    }

    /// The number in a master boot record, if there is one.
    pub(super) fn mbr(self) -> Option<u8> {
        match self {
            Self::Named(named) => named.mbr,
            Self::Mbr(number) => Some(number),
            Self::Gpt(_) => None,
        }
    }

    /// The GUID in a GPT, if there is one.
    pub(super) fn gpt(self) -> Option<gpt_disk_types::Guid> {
        match self {
            Self::Named(named) => Some(named.gpt),
            Self::Mbr(_) => None,
            Self::Gpt(guid) => Some(guid.0),
        }
    }
}

impl FromStr for PartitionType {
    type Err = PartitionTypeError;

    fn from_str(text: &str) -> Result<Self, PartitionTypeError> {
        let error = || PartitionTypeError { text: text.into() };
        if let Some(named) = NAMED_TYPES.iter().find(|named| named.name == text) {
            return Ok(Self::Named(named));
        }
        if let Some(digits) = text.strip_prefix("0x") {
            // 0 means that there is no partition.
            return u8::from_str_radix(digits, 16)
                .ok()
                .filter(|number| *number != 0)
                .map(Self::Mbr)
                .ok_or_else(error);
        }
        match text.parse() {
            Ok(Guid(gpt_disk_types::Guid::ZERO)) | Err(_) => Err(error()),
            Ok(guid) => Ok(Self::Gpt(guid)),
        }
    }
}

/// Flags of a partition in a GPT, by their bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub(super) u64);

/// A flag that a GPT does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found} is no attribute of a partition, expected {}",
    Attributes::ALLOWED
)]
pub struct AttributesError {
    /// The name or number.
    pub found: String,
}

impl Attributes {
    /// What a user may write.
    pub const ALLOWED: &str = "\"required-partition\", \"no-block-io\", \
         \"legacy-bios-bootable\" or a bit from 48 to 63, which the type gives a meaning";

    /// Bit of [`Partition::bootable`].
    const LEGACY_BIOS_BOOTABLE: u64 = 2;

    /// Adds the flag called `name`.
    pub fn add_named(&mut self, name: &str) -> Result<(), AttributesError> {
        let bit = match name {
            "required-partition" => 0,
            "no-block-io" => 1,
            "legacy-bios-bootable" => Self::LEGACY_BIOS_BOOTABLE,
            _ => {
                return Err(AttributesError {
                    found: format!("{name:?}"),
                });
            }
        };
        self.0 |= 1 << bit;
        Ok(())
    }

    /// Adds the flag of a bit that types give a meaning.
    pub fn add_bit(&mut self, bit: u64) -> Result<(), AttributesError> {
        if !(48..=63).contains(&bit) {
            return Err(AttributesError {
                found: bit.to_string(),
            });
        }
        self.0 |= 1 << bit;
        Ok(())
    }

    /// With the flag of a partition that a BIOS may start.
    pub(super) fn bootable(self) -> Self {
        Self(self.0 | 1 << Self::LEGACY_BIOS_BOOTABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_a_name_a_number_or_a_guid() {
        for named in &NAMED_TYPES {
            assert_eq!(named.name.parse(), Ok(PartitionType::Named(named)));
            assert!(PartitionType::ALLOWED.contains(&format!("\"{}\"", named.name)));
        }
        assert_eq!("0x0b".parse(), Ok(PartitionType::Mbr(0x0b)));
        let esp: PartitionType = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B".parse().unwrap();
        assert_eq!(esp.gpt(), "esp".parse::<PartitionType>().unwrap().gpt());
        for text in [
            "",
            "ESP",
            "0x00",
            "0x100",
            "0b",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(text.parse::<PartitionType>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_disk_id_is_eight_hex_digits_at_most() {
        assert_eq!("0x2178694e".parse(), Ok(MbrId(0x2178_694e)));
        assert_eq!("0x1".parse(), Ok(MbrId(1)));
        for text in ["2178694e", "0x", "0x123456789", "0x+1", "0xg"] {
            assert!(text.parse::<MbrId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_has_36_units_of_utf_16() {
        let longest = "𝄞".repeat(18);
        let name: PartitionName = longest.parse().unwrap();
        assert_eq!(name.encode().0[70..], 0xdd1e_u16.to_le_bytes());
        assert!(format!("{longest}x").parse::<PartitionName>().is_err());
        assert!("a\0".parse::<PartitionName>().is_err());
    }

    #[test]
    fn partitions_have_identities_of_their_own() {
        let disk: Guid = "97fd5997-d90b-4aa3-8d16-c1723aea73c1".parse().unwrap();
        let text = |number| format!("{:?}", disk.of_partition(number));
        assert_ne!(text(1), text(2));
        assert_eq!(&text(1)[14..15], "8", "the version: {}", text(1));
        assert!(
            "89ab".contains(&text(1)[19..20]),
            "the variant: {}",
            text(1)
        );
    }

    #[test]
    fn attributes_are_names_and_the_upper_bits() {
        let mut attributes = Attributes::default();
        attributes.add_named("no-block-io").unwrap();
        attributes.add_bit(63).unwrap();
        assert_eq!(attributes.bootable().0, 1 << 63 | 0b110);
        assert!(attributes.add_named("bootable").is_err());
        assert!(attributes.add_bit(47).is_err());
        assert!(attributes.add_bit(64).is_err());
    }
}
