//! The attributes under `nix2image.disk`.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Unexpected, Visitor};

use super::value::attribute_set;
use super::{BootFiles, Content, Ext4, FromText, Integer, Number, SourcePath, Text};
use crate::{disk, fat};

/// Bytes of a disk, or from its start.
type Bytes = Integer<u64, 0, { i64::MAX }>;

attribute_set! {
    /// The attributes under `nix2image.disk`.
    pub struct Disk {
        pub table: Text<TableName>,
        pub id: Option<Text<disk::MbrId>>,
        pub guid: Option<Text<disk::Guid>>,
        pub sector_size: Option<Number<disk::SectorSize>>,
        pub align: Option<Integer<u64, 1, { 1 << 40 }>>,
        pub size: Option<Bytes>,
        pub partitions: Option<Vec<Partition>>,
        pub raw: Option<Vec<Raw>>,
        pub grub: Option<Grub>,
    }
}

attribute_set! {
    /// The attributes of one item of `nix2image.disk.partitions`.
    pub struct Partition {
        pub name: Option<Text<disk::PartitionName>>,
        #[serde(rename = "type")]
        pub kind: Option<Text<disk::PartitionType>>,
        pub guid: Option<Text<disk::Guid>>,
        pub start: Option<Bytes>,
        pub align: Option<Integer<u64, 1, { 1 << 40 }>>,
        pub size: Option<Size>,
        pub attributes: Option<Attributes>,
        pub bootable: Option<bool>,
        pub content: Option<PartitionContent>,
    }
}

/// The attributes of the `content` of a partition.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "an attribute set with one of ext4, fat and file"
)]
#[expect(missing_docs, reason = "docs/attributes.md has them, for the user")]
pub struct PartitionContent {
    pub ext4: Option<Ext4>,
    pub fat: Option<Fat>,
    pub file: Option<Text<SourcePath>>,
}

attribute_set! {
    /// The attributes of a FAT filesystem.
    pub struct Fat {
        pub label: Option<Text<fat::Label>>,
        pub volume_id: Option<Text<fat::VolumeId>>,
        #[serde(rename = "type")]
        pub fat_type: Option<Text<fat::FatType>>,
        pub free_bytes: Option<Integer<u64, 0, { 1 << 41 }>>,
        pub cluster_size: Option<Number<fat::ClusterSize>>,
        pub time: Option<Integer<u32, 0, { u32::MAX as i64 }>>,
        pub contents: Option<Vec<Content>>,
        pub boot_files: Option<Vec<BootFiles>>,
    }
}

attribute_set! {
    /// The attributes of one item of `nix2image.disk.raw`.
    pub struct Raw {
        pub source: Text<SourcePath>,
        pub offset: Bytes,
    }
}

attribute_set! {
    /// The attributes under `nix2image.disk.grub`.
    pub struct Grub {
        pub boot: Text<SourcePath>,
        pub core: Text<SourcePath>,
    }
}

super::value::choice! {
    /// What tells where the partitions are.
    TableName { None = "none", Mbr = "mbr", Gpt = "gpt" }
}

impl FromText for disk::MbrId {
    const ALLOWED: &str = "a disk id, such as \"0x2178694e\"";
}

impl FromText for disk::Guid {
    const ALLOWED: &str = "a GUID, such as \"f222513b-ded1-49fa-b591-20ce86a2fe7f\"";
}

impl FromText for disk::PartitionName {
    const ALLOWED: &str = "a name of at most 36 units of UTF-16, without NUL";
}

impl FromText for disk::PartitionType {
    const ALLOWED: &str = disk::PartitionType::ALLOWED;
}

impl FromText for fat::Label {
    const ALLOWED: &str = "a label of 1 to 11 characters, such as \"ESP\"";
}

impl FromText for fat::VolumeId {
    const ALLOWED: &str = "a volume id, such as \"0x2178694e\"";
}

impl FromText for fat::FatType {
    const ALLOWED: &str = "\"fat12\", \"fat16\" or \"fat32\"";
}

/// How large a partition is: a number of bytes, or a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub disk::Size);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, \"fit\" or \"rest\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        match text {
            "fit" => Ok(Size(disk::Size::Fit)),
            "rest" => Ok(Size(disk::Size::Rest)),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(disk::Size::Exact(bytes)))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        Err(E::invalid_value(Unexpected::Signed(bytes), &self))
    }
}

/// Flags of a partition in a GPT: a list of names and bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub disk::Attributes);

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(AttributesVisitor)
    }
}

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = Attributes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", disk::Attributes::ALLOWED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Attributes, A::Error> {
        let mut attributes = disk::Attributes::default();
        while let Some(item) = items.next_element::<NameOrBit>()? {
            match item {
                NameOrBit::Name(name) => attributes.add_named(&name),
                NameOrBit::Bit(bit) => attributes.add_bit(bit),
            }
            .map_err(de::Error::custom)?;
        }
        Ok(Attributes(attributes))
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a name or a bit of an attribute of a partition")]
enum NameOrBit {
    Name(String),
    Bit(u64),
}
