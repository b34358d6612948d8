//! A disk as it is wanted.

use std::path::PathBuf;

use super::boot::{self, BootFiles};
use super::{ContentItem, SpecError, text};
use crate::attrs::{self, TableName};
use crate::disk::{self, SectorSize, Size, Table};
use crate::fat;
use crate::tree::Timestamp;

/// A disk to be made.
#[derive(Debug)]
pub struct DiskSpec {
    /// All of it but contents and files, which are still to be found.
    pub disk: disk::Disk,
    /// By partition.
    pub contents: Vec<PartitionContent>,
    /// Files at places of their own.
    pub raw: Vec<RawFile>,
    /// What a BIOS starts.
    pub grub: Option<GrubFiles>,
}

/// What a partition holds.
#[derive(Debug)]
pub enum PartitionContent {
    /// Nothing.
    Nothing,
    /// The filesystem with the closure, as [`Spec::ext4`](super::Spec::ext4) says.
    Root,
    /// A FAT filesystem.
    Fat(Box<FatSpec>),
    /// An image made elsewhere.
    File(PathBuf),
}

/// A FAT filesystem to be made.
#[derive(Debug)]
pub struct FatSpec {
    /// All but its size and its place, which are those of its partition.
    pub options: fat::Options,
    /// What stands in it, in the order given.
    pub contents: Vec<ContentItem>,
    /// What boot loaders find in it.
    pub boot_files: Vec<BootFiles>,
}

/// A file at a place of the disk.
#[derive(Debug)]
pub struct RawFile {
    /// A store path, or a path in one.
    pub source: PathBuf,
    /// Bytes from the start of the disk.
    pub offset: u64,
}

/// The two parts of a GRUB for a BIOS.
#[derive(Debug)]
pub struct GrubFiles {
    /// `boot.img`.
    pub boot: PathBuf,
    /// The core image.
    pub core: PathBuf,
}

/// What is wrong with the attributes of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskFault {
    /// A disk is wanted and not described.
    #[error("missing; with kind = \"disk\" it says what partitions there are")]
    Missing,
    /// A disk is described and something else is wanted.
    #[error("is not used; expected none, or kind = \"disk\"")]
    NotUsed,
    /// What a table is known by.
    #[error("missing; a table = \"{table}\" needs one")]
    NoIdentity {
        /// The kind of table.
        table: &'static str,
    },
    /// What the table does not have.
    #[error("is not used; expected none with table = \"{table}\"")]
    OfAnotherTable {
        /// The kind of table.
        table: &'static str,
    },
    /// Sectors that only a GPT has.
    #[error("4096 is only for table = \"gpt\", expected 512")]
    SectorSize,
    /// Not one kind of content.
    #[error("has {found} of ext4, fat and file, expected one")]
    NotOneContent {
        /// How many it has.
        found: usize,
    },
    /// The filesystem of the closure stands in a partition.
    #[error(
        "is not used with kind = \"disk\"; the filesystem stands in disk.partitions[…].content.ext4"
    )]
    Ext4Elsewhere,
    /// A second filesystem with the closure.
    #[error("the closure stands in one partition, and another one before has content.ext4")]
    SecondRoot,
    /// A closure without a place.
    #[error(
        "none has content.ext4, which the closure, root, contents, bootFiles and selfCheck are for"
    )]
    NoRoot,
}

/// An error of the attribute `at`, below `nix2image`.
fn error(at: impl Into<String>, fault: DiskFault) -> SpecError {
    SpecError::Disk {
        attribute: at.into(),
        fault,
    }
}

impl DiskSpec {
    /// The disk of `attrs`, and the attributes of the filesystem with the closure.
    pub(super) fn new(attrs: attrs::Disk) -> Result<(Self, Option<attrs::Ext4>), SpecError> {
        let table = table(&attrs)?;
        let mut root = None;
        let mut partitions = Vec::new();
        let mut contents = Vec::new();
        for (index, partition) in attrs.partitions.into_iter().flatten().enumerate() {
            let at = format!("disk.partitions[{index}]");
            let (partition, content) = split(partition);
            let volume_id = fat::VolumeId(disk::volume_id(table, index + 1));
            contents.push(content_of(&at, content, volume_id, &mut root)?);
            partitions.push(partition);
        }
        let spec = Self {
            disk: disk::Disk {
                table,
                align: attrs.align.map_or(1 << 20, |align| align.0),
                size: attrs.size.map(|size| size.0),
                partitions,
                raw: Vec::new(),
                grub: None,
            },
            contents,
            raw: attrs
                .raw
                .into_iter()
                .flatten()
                .map(|raw| RawFile {
                    source: raw.source.0.0,
                    offset: raw.offset.0,
                })
                .collect(),
            grub: attrs.grub.map(|grub| GrubFiles {
                boot: grub.boot.0.0,
                core: grub.core.0.0,
            }),
        };
        Ok((spec, root))
    }

    /// Whether a partition holds the closure.
    #[must_use]
    pub fn has_root(&self) -> bool {
        self.contents
            .iter()
            .any(|content| matches!(content, PartitionContent::Root))
    }
}

fn table(attrs: &attrs::Disk) -> Result<Table, SpecError> {
    let id = attrs.id.as_ref().map(|id| id.0);
    let guid = attrs.guid.as_ref().map(|guid| guid.0);
    let sector_size = attrs
        .sector_size
        .as_ref()
        .map_or(SectorSize::BYTES_512, |size| size.0);
    let missing = |at: &str, table| error(at, DiskFault::NoIdentity { table });
    let (name, table) = match attrs.table.0 {
        TableName::None => ("none", Table::None),
        TableName::Mbr => {
            let id = id.ok_or_else(|| missing("disk.id", "mbr"))?;
            ("mbr", Table::Mbr { id })
        }
        TableName::Gpt => {
            let guid = guid.ok_or_else(|| missing("disk.guid", "gpt"))?;
            ("gpt", Table::Gpt { guid, sector_size })
        }
    };
    let fault = DiskFault::OfAnotherTable { table: name };
    if id.is_some() && !matches!(table, Table::Mbr { .. }) {
        return Err(error("disk.id", fault));
    }
    if !matches!(table, Table::Gpt { .. }) {
        if guid.is_some() {
            return Err(error("disk.guid", fault));
        }
        if sector_size != SectorSize::BYTES_512 {
            return Err(error("disk.sectorSize", DiskFault::SectorSize));
        }
    }
    Ok(table)
}

/// A partition without its content, and that.
fn split(attrs: attrs::Partition) -> (disk::Partition, Option<attrs::PartitionContent>) {
    let partition = disk::Partition {
        name: text(attrs.name).unwrap_or_default(),
        kind: text(attrs.kind),
        guid: text(attrs.guid),
        start: attrs.start.map(|start| start.0),
        align: attrs.align.map(|align| align.0),
        size: attrs.size.map_or(Size::Fit, |size| size.0),
        attributes: attrs.attributes.map(|list| list.0).unwrap_or_default(),
        bootable: attrs.bootable.unwrap_or(false),
    };
    (partition, attrs.content)
}

/// The content of the partition `at`; the filesystem with the closure goes to `root`.
fn content_of(
    at: &str,
    content: Option<attrs::PartitionContent>,
    volume_id: fat::VolumeId,
    root: &mut Option<attrs::Ext4>,
) -> Result<PartitionContent, SpecError> {
    let at = format!("{at}.content");
    let Some(attrs::PartitionContent { ext4, fat, file }) = content else {
        return Ok(PartitionContent::Nothing);
    };
    let found = [ext4.is_some(), fat.is_some(), file.is_some()];
    let found = found.into_iter().filter(|found| *found).count();
    match (ext4, fat, file) {
        (Some(_), None, None) if root.is_some() => {
            Err(error(format!("{at}.ext4"), DiskFault::SecondRoot))
        }
        (Some(ext4), None, None) => {
            *root = Some(ext4);
            Ok(PartitionContent::Root)
        }
        (None, Some(fat), None) => {
            let spec = fat_spec(&format!("nix2image.{at}.fat"), fat, volume_id);
            Ok(PartitionContent::Fat(Box::new(spec)))
        }
        (None, None, Some(file)) => Ok(PartitionContent::File(file.0.0)),
        _ => Err(error(at, DiskFault::NotOneContent { found })),
    }
}

/// The filesystem of the attribute `at`.
fn fat_spec(at: &str, attrs: attrs::Fat, volume_id: fat::VolumeId) -> FatSpec {
    let defaults = fat::Options::new(text(attrs.volume_id).unwrap_or(volume_id));
    let time = |seconds: attrs::Integer<u32, 0, { u32::MAX as i64 }>| {
        Timestamp::from_seconds(seconds.0.into())
    };
    FatSpec {
        options: fat::Options {
            label: text(attrs.label).unwrap_or_default(),
            fat_type: text(attrs.fat_type),
            free_bytes: attrs
                .free_bytes
                .map_or(defaults.free_bytes, |bytes| bytes.0),
            cluster_size: attrs.cluster_size.map(|size| size.0),
            time: attrs.time.map_or(defaults.time, time),
            ..defaults
        },
        contents: attrs
            .contents
            .into_iter()
            .flatten()
            .map(ContentItem::from)
            .collect(),
        boot_files: boot::all(&format!("{at}.bootFiles"), attrs.boot_files),
    }
}

/// The disk of an image of this kind, and the attributes of its filesystem, wherever they
/// stand.
pub(super) fn take(
    is_disk: bool,
    disk: Option<attrs::Disk>,
    ext4: Option<attrs::Ext4>,
) -> Result<(Option<DiskSpec>, attrs::Ext4), SpecError> {
    match (is_disk, disk) {
        (false, None) => Ok((None, ext4.unwrap_or_default())),
        (false, Some(_)) => Err(error("disk", DiskFault::NotUsed)),
        (true, None) => Err(error("disk", DiskFault::Missing)),
        (true, Some(_)) if ext4.is_some() => Err(error("ext4", DiskFault::Ext4Elsewhere)),
        (true, Some(disk)) => {
            let (disk, root) = DiskSpec::new(disk)?;
            Ok((Some(disk), root.unwrap_or_default()))
        }
    }
}

/// An error if a closure, or what goes with it, has no partition to stand in.
pub(super) fn check_root(disk: &DiskSpec, has_content: bool) -> Result<(), SpecError> {
    if has_content && !disk.has_root() {
        return Err(error("disk.partitions", DiskFault::NoRoot));
    }
    Ok(())
}
