//! Partition tables: GPT and MBR.

use std::io;
use std::mem::offset_of;

use gpt_disk_types::crc::Crc;
use gpt_disk_types::{
    Crc32, GptHeader, GptPartitionEntry, GptPartitionType, Guid, LbaLe, MasterBootRecord,
};

use super::disk::Volume;
use super::format::BOOT_SIGNATURE;

/// What tells where partitions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which kind it is.
    pub kind: TableKind,
    /// The disk's identity: a GUID, or `0x` and 8 hex digits.
    pub identity: String,
    /// Bytes of a sector.
    pub sector_bytes: u64,
    /// In the order of their numbers.
    pub partitions: Vec<Partition>,
}

/// The kinds of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// A master boot record. What stands in an extended partition is not read.
    Mbr,
    /// A GUID partition table.
    Gpt {
        /// Which of its two copies are whole.
        copies: GptCopies,
    },
}

/// Which copies of a GPT are whole: there is one at the start and one at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GptCopies {
    /// Both.
    Both,
    /// The first; the one at the end is missing or damaged.
    FirstAlone,
    /// The one at the end; the first is damaged.
    LastAlone,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// From 1 on.
    pub number: u32,
    /// Its name, of which an MBR has none.
    pub name: String,
    /// What it is for: a GUID, or `0x` and two hex digits.
    pub kind: String,
    /// What the attributes call that, or others do.
    pub kind_name: Option<&'static str>,
    /// Its identity, as `blkid` tells it: a GUID, or the disk's and the number.
    pub identity: String,
    /// Whether a BIOS is told to start it.
    pub bootable: bool,
    /// Byte of the disk at which it begins.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// What may be wrong with a partition table.
#[derive(Debug, thiserror::Error)]
pub enum TableFault {
    /// The disk refuses.
    #[error("the partition table cannot be read")]
    Read(#[from] io::Error),
    /// Both copies of a GPT are damaged.
    #[error("both copies of the GPT are damaged: {field} of the first is not what it should be")]
    Damaged {
        /// What is wrong with the first.
        field: &'static str,
    },
    /// The disk ends before its second table.
    #[error(
        "the disk is cut off: its GPT has its second copy up to byte {end}, and there are {size}"
    )]
    CutOff {
        /// Where the second copy ends.
        end: u64,
        /// Bytes of the disk.
        size: u64,
    },
    /// A partition ends before it begins.
    #[error(
        "partition {number} of the table is damaged: it begins at sector {first} and ends at sector {last}"
    )]
    Reversed {
        /// Its number.
        number: u32,
        /// Its first sector.
        first: u64,
        /// Its last sector.
        last: u64,
    },
    /// A partition ends behind the disk.
    #[error("the disk is cut off: partition {number} ends at byte {end}, and there are {size}")]
    PartitionCutOff {
        /// Its number.
        number: u32,
        /// Where it ends.
        end: u64,
        /// Bytes of the disk.
        size: u64,
    },
}

/// Types of partitions that have names in the attributes or a word that everybody knows.
const GPT_TYPES: [(&str, &str); 10] = [
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "esp"),
    ("bc13c2ff-59e6-4262-a352-b275fd6f7172", "xbootldr"),
    ("21686148-6449-6e6f-744e-656564454649", "bios-boot"),
    ("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "fat32"),
    ("0fc63daf-8483-4772-8e79-3d69d8477de4", "linux"),
    ("4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "linux-root-x86-64"),
    ("b921b045-1df0-41c3-af44-4c6f280d3fae", "linux-root-arm64"),
    ("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "linux-swap"),
    ("e6d6d379-f507-44c2-a23c-238f2a3df928", "linux-lvm"),
    ("933ac7e1-2eb4-4f13-b844-0e14e2aef915", "linux-home"),
];

/// The same of an MBR.
const MBR_TYPES: [(u8, &str); 10] = [
    (0xef, "esp"),
    (0xea, "xbootldr"),
    (0x0b, "fat32"),
    (0x0c, "fat32"),
    (0x83, "linux"),
    (0x82, "linux-swap"),
    (0x8e, "linux-lvm"),
    (0x05, "extended"),
    (0x0f, "extended"),
    (0x85, "extended"),
];

/// The type, in an MBR, of the partition that stands for a GPT.
const PROTECTIVE: u8 = 0xee;
/// `boot_indicator`.
const ACTIVE: u8 = 0x80;
/// Bytes of all entries of the largest GPT that is read: 64 times those of a usual one.
const MAX_ENTRIES_BYTES: u64 = 1 << 20;
/// Bytes of a sector of a disk with an MBR.
const MBR_SECTOR: u64 = 512;

/// The GPT of a disk, if it has one.
pub(super) fn gpt(disk: &Volume) -> Result<Option<Table>, TableFault> {
    for sector in [512, 4096] {
        if disk.size() < 3 * sector {
            continue;
        }
        let found = match Gpt::read(disk, sector, 1)? {
            Ok(first) => Some(with_last(disk, &first)?),
            Err(fault) => without_first(disk, sector, fault)?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The table that the first copy is, beside its last.
fn with_last(disk: &Volume, first: &Gpt) -> Result<Table, TableFault> {
    let other = first.header.alternate_lba.to_u64();
    let end = other.saturating_add(1).saturating_mul(first.sector);
    if end > disk.size() {
        return Err(TableFault::CutOff {
            end,
            size: disk.size(),
        });
    }
    let copies = match Gpt::read(disk, first.sector, other)? {
        Ok(_) => GptCopies::Both,
        Err(_) => GptCopies::FirstAlone,
    };
    first.table(disk, copies)
}

/// The table that the last copy is, if there is a GPT but for its first copy, in which
/// `fault` is.
fn without_first(
    disk: &Volume,
    sector: u64,
    fault: &'static str,
) -> Result<Option<Table>, TableFault> {
    let last = disk.size() / sector - 1;
    if let Ok(gpt) = Gpt::read(disk, sector, last)? {
        return gpt.table(disk, GptCopies::LastAlone).map(Some);
    }
    if fault == SIGNATURE {
        return Ok(None);
    }
    Err(TableFault::Damaged { field: fault })
}

/// One copy of a GPT, with checksums that are right.
struct Gpt {
    header: GptHeader,
    entries: Vec<u8>,
    /// Bytes of a sector.
    sector: u64,
}

const SIGNATURE: &str = "the signature";

impl Gpt {
    /// The copy whose header is in the sector `lba`, or the name of a field that is wrong.
    fn read(disk: &Volume, sector: u64, lba: u64) -> io::Result<Result<Self, &'static str>> {
        let mut bytes = vec![0; if sector == 512 { 512 } else { 4096 }];
        disk.read_exact_at(&mut bytes, lba * sector)?;
        let length = size_of::<GptHeader>();
        let header: GptHeader = bytemuck::pod_read_unaligned(&bytes[..length]);
        if let Err(field) = check_header(&header, &bytes, lba) {
            return Ok(Err(field));
        }
        let count = u64::from(header.number_of_partition_entries.to_u32());
        let entry = u64::from(header.size_of_partition_entry.to_u32());
        let start = header.partition_entry_lba.to_u64().checked_mul(sector);
        let end = start.and_then(|start| start.checked_add(count * entry));
        let (Some(start), Some(end)) = (start, end) else {
            return Ok(Err("the place of the entries"));
        };
        if end > disk.size() {
            return Ok(Err("the place of the entries"));
        }
        let length = usize::try_from(count * entry).unwrap_or_default();
        let mut entries = vec![0; length];
        disk.read_exact_at(&mut entries, start)?;
        if checksum(&[&entries]) != header.partition_entry_array_crc32 {
            return Ok(Err("the checksum of the entries"));
        }
        Ok(Ok(Self {
            header,
            entries,
            sector,
        }))
    }

    fn table(&self, disk: &Volume, copies: GptCopies) -> Result<Table, TableFault> {
        let length = self.header.size_of_partition_entry.to_u32();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut partitions = Vec::new();
        for (entry, number) in self.entries.chunks_exact(length).zip(1..) {
            let known = &entry[..size_of::<GptPartitionEntry>()];
            let entry: GptPartitionEntry = bytemuck::pod_read_unaligned(known);
            if { entry.partition_type_guid } != GptPartitionType::UNUSED {
                partitions.push(self.partition(disk, &entry, number)?);
            }
        }
        Ok(Table {
            kind: TableKind::Gpt { copies },
            identity: { self.header.disk_guid }.to_string(),
            sector_bytes: self.sector,
            partitions,
        })
    }

    fn partition(
        &self,
        disk: &Volume,
        entry: &GptPartitionEntry,
        number: u32,
    ) -> Result<Partition, TableFault> {
        let [first, last] = [entry.starting_lba, entry.ending_lba].map(LbaLe::to_u64);
        if first > last {
            return Err(TableFault::Reversed {
                number,
                first,
                last,
            });
        }
        let end = last.saturating_add(1).saturating_mul(self.sector);
        check_end(disk, number, end)?;
        let start = first * self.sector;
        let kind: Guid = { entry.partition_type_guid }.0;
        let kind = kind.to_string();
        let kind_name = GPT_TYPES.iter().find(|(guid, _)| *guid == kind);
        Ok(Partition {
            number,
            name: text({ entry.name }.0),
            kind_name: kind_name.map(|(_, name)| *name),
            kind,
            identity: { entry.unique_partition_guid }.to_string(),
            bootable: { entry.attributes }.legacy_bios_bootable(),
            start,
            size: end - start,
        })
    }
}

/// The name of a field of `header`, which is read from the sector `bytes` with the number
/// `lba`, if it is wrong.
fn check_header(header: &GptHeader, bytes: &[u8], lba: u64) -> Result<(), &'static str> {
    if !header.is_signature_valid() {
        return Err(SIGNATURE);
    }
    let length = usize::try_from(header.header_size.to_u32()).unwrap_or(usize::MAX);
    let Some(covered) = bytes
        .get(..length)
        .filter(|_| length >= size_of::<GptHeader>())
    else {
        return Err("the header's size");
    };
    // The checksum's own place counts as zeros.
    let at = offset_of!(GptHeader, header_crc32);
    let parts = [&covered[..at], &[0; 4], &covered[at + 4..]];
    if checksum(&parts) != header.header_crc32 {
        return Err("the header's checksum");
    }
    if header.my_lba.to_u64() != lba {
        return Err("the header's place");
    }
    let entry = header.size_of_partition_entry.to_u32();
    if entry < 128 || !entry.is_power_of_two() {
        return Err("the size of an entry");
    }
    let count = header.number_of_partition_entries.to_u32();
    if u64::from(count) * u64::from(entry) > MAX_ENTRIES_BYTES {
        return Err("the number of entries");
    }
    Ok(())
}

fn checksum(parts: &[&[u8]]) -> Crc32 {
    let crc = Crc::<u32>::new(&Crc32::ALGORITHM);
    let mut digest = crc.digest();
    for part in parts {
        digest.update(part);
    }
    Crc32(gpt_disk_types::U32Le::from_u32(digest.finalize()))
}

/// A name in UTF-16, up to the first NUL.
fn text(bytes: [u8; 72]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// The MBR of a disk, if it has one. A boot sector of a filesystem may look as if it were
/// one: who asks has looked for that first.
pub(super) fn mbr(disk: &Volume) -> Result<Option<Table>, TableFault> {
    let mut bytes = [0; size_of::<MasterBootRecord>()];
    if disk.size() < MBR_SECTOR {
        return Ok(None);
    }
    disk.read_exact_at(&mut bytes, 0)?;
    let record: MasterBootRecord = bytemuck::pod_read_unaligned(&bytes);
    let is_sound = record.signature == BOOT_SIGNATURE
        && record
            .partitions
            .iter()
            .all(|partition| matches!(partition.boot_indicator, 0 | ACTIVE));
    if !is_sound {
        return Ok(None);
    }
    let id = u32::from_le_bytes(record.unique_mbr_disk_signature);
    let mut partitions = Vec::new();
    for (partition, number) in record.partitions.iter().zip(1..) {
        let start = u64::from(partition.starting_lba.to_u32()) * MBR_SECTOR;
        let size = u64::from(partition.size_in_lba.to_u32()) * MBR_SECTOR;
        let kind = partition.os_indicator;
        if kind == 0 || size == 0 {
            continue;
        }
        if start == 0 || kind == PROTECTIVE {
            return Ok(None);
        }
        check_end(disk, number, start + size)?;
        let kind_name = MBR_TYPES.iter().find(|(known, _)| *known == kind);
        partitions.push(Partition {
            number,
            name: String::new(),
            kind: format!("0x{kind:02x}"),
            kind_name: kind_name.map(|(_, name)| *name),
            identity: format!("{id:08x}-{number:02x}"),
            bootable: partition.boot_indicator == ACTIVE,
            start,
            size,
        });
    }
    if partitions.is_empty() {
        return Ok(None);
    }
    Ok(Some(Table {
        kind: TableKind::Mbr,
        identity: format!("0x{id:08x}"),
        sector_bytes: MBR_SECTOR,
        partitions,
    }))
}

fn check_end(disk: &Volume, number: u32, end: u64) -> Result<(), TableFault> {
    if end <= disk.size() {
        return Ok(());
    }
    Err(TableFault::PartitionCutOff {
        number,
        end,
        size: disk.size(),
    })
}
