//! Where volumes stand, and what cannot stand.

use super::*;
use crate::disk::{Attributes, Grub, MbrId, PartitionName, Raw};
use crate::source::Source;

const MIB: u64 = 1 << 20;

fn partition(name: &str, kind: &str, size: Size) -> Partition {
    Partition {
        name: name.parse::<PartitionName>().unwrap(),
        kind: Some(kind.parse().unwrap()),
        guid: None,
        start: None,
        align: None,
        size,
        attributes: Attributes::default(),
        bootable: false,
    }
}

fn disk(table: Table, partitions: Vec<Partition>) -> Disk {
    Disk {
        table,
        align: MIB,
        size: None,
        partitions,
        raw: Vec::new(),
        grub: None,
    }
}

fn mbr(partitions: Vec<Partition>) -> Disk {
    disk(Table::Mbr { id: MbrId(7) }, partitions)
}

fn gpt(partitions: Vec<Partition>) -> Disk {
    let guid = "97fd5997-d90b-4aa3-8d16-c1723aea73c1".parse().unwrap();
    let sector_size = SectorSize::BYTES_512;
    disk(Table::Gpt { guid, sector_size }, partitions)
}

fn raw(name: &str, offset: u64, bytes: &[u8]) -> Raw {
    Raw {
        name: name.into(),
        offset,
        source: Source::bytes(bytes),
    }
}

/// The disk whose volumes have so many bytes, or those that are theirs, and where they are.
fn lay_out_with(disk: &Disk, bytes: u64) -> Result<(Pieces, Vec<Place>), DiskError> {
    let mut places = Vec::new();
    let pieces = lay_out(disk, |_, place| {
        places.push(place);
        Ok::<_, DiskError>(Some(Pieces::new(place.size.unwrap_or(bytes), Vec::new())))
    })?;
    Ok((pieces, places))
}

fn error(disk: &Disk) -> String {
    lay_out_with(disk, 4096).unwrap_err().to_string()
}

#[test]
fn partitions_stand_one_behind_the_other_from_aligned_bytes_on() {
    let mut second = partition("b", "linux", Size::Exact(512));
    second.align = Some(4 * MIB);
    let third = partition("c", "linux", Size::Fit);
    let disk = gpt(vec![partition("a", "esp", Size::Exact(MIB)), second, third]);
    let (pieces, places) = lay_out_with(&disk, 5 * MIB + 1).unwrap();
    let starts: Vec<_> = places.iter().map(|place| place.start / MIB).collect();
    assert_eq!(starts, [1, 4, 5]);
    let sizes: Vec<_> = places.iter().map(|place| place.size).collect();
    assert_eq!(sizes, [Some(MIB), Some(512), None]);
    // 10 MiB and a sector, and the backup of the table.
    assert_eq!(pieces.size(), 11 * MIB);
}

#[test]
fn a_partition_may_stand_before_one_of_a_lower_number() {
    let mut second = partition("bios", "bios-boot", Size::Exact(MIB - 17408));
    second.start = Some(17408);
    let disk = gpt(vec![
        partition("a", "esp", Size::Exact(MIB)),
        second,
        partition("root", "linux", Size::Fit),
    ]);
    let (_, places) = lay_out_with(&disk, 4096).unwrap();
    assert_eq!(places[1].start, 17408);
    assert_eq!(places[2].start, 2 * MIB);
}

#[test]
fn the_rest_ends_where_the_backup_of_the_table_begins() {
    let mut disk = gpt(vec![partition("root", "linux", Size::Rest)]);
    disk.size = Some(100 * MIB);
    let (pieces, places) = lay_out_with(&disk, 4096).unwrap();
    assert_eq!(places[0].size, Some(99 * MIB - 33 * 512));
    assert_eq!(pieces.size(), 100 * MIB);
}

#[test]
fn a_disk_without_a_table_is_its_volume() {
    let disk = disk(Table::None, vec![partition("", "linux", Size::Fit)]);
    let (pieces, places) = lay_out_with(&disk, 5120).unwrap();
    assert_eq!(places[0].start, 0);
    assert_eq!(pieces.size(), 5120);
}

#[test]
fn what_overlaps_is_refused_with_both_names() {
    let mut low = partition("low", "linux", Size::Exact(MIB));
    low.start = Some(512);
    let message = error(&gpt(vec![low.clone()]));
    assert_eq!(
        message,
        "partition 1 (\"low\") stands at bytes 512 to 1049088 and overlaps the partition table, which ends at 17408; let it start at byte 17408 or behind"
    );
    assert!(lay_out_with(&mbr(vec![low.clone()]), 0).is_ok());

    low.start = Some(2 * MIB - 512);
    let disk = gpt(vec![low, partition("b", "linux", Size::Exact(MIB))]);
    assert!(lay_out_with(&disk, 0).is_ok(), "the second stands behind");
    let mut disk = mbr(vec![partition("a", "linux", Size::Fit)]);
    disk.raw = vec![raw("disk.raw[0]", MIB + 4095, b"x")];
    assert!(error(&disk).contains(
        "disk.raw[0] stands at bytes 1052671 to 1052672 and overlaps partition 1 (\"a\")"
    ));
    disk.raw = vec![raw("disk.raw[0]", MIB + 4096, b"x")];
    assert!(lay_out_with(&disk, 4096).is_ok());
    disk.raw = vec![raw("disk.raw[0]", 511, b"x")];
    assert!(error(&disk).contains("overlaps the partition table"));
}

#[test]
fn what_lies_beyond_the_disk_is_refused() {
    let mut disk = gpt(vec![partition("a", "linux", Size::Exact(3 * MIB))]);
    disk.size = Some(4 * MIB);
    assert_eq!(
        error(&disk),
        "partition 1 (\"a\") stands at bytes 1048576 to 4194304, beyond the end of the disk at 4177408; make the disk larger"
    );
    disk.partitions[0].size = Size::Rest;
    disk.size = Some(MIB);
    assert_eq!(
        error(&disk),
        "partition 1 (\"a\") takes the rest of the disk, and none is left: it would start at byte 1048576, and the disk has room up to 1031680; make the disk larger"
    );
    disk.size = None;
    assert!(error(&disk).contains("takes the rest of the disk"));
}

#[test]
fn numbers_are_whole_sectors() {
    let mut disk = mbr(vec![partition("a", "linux", Size::Exact(513))]);
    assert_eq!(
        error(&disk),
        "the size of partition 1 (\"a\") is 513, which is no multiple of 512 bytes, a sector of the disk"
    );
    disk.partitions[0].size = Size::Fit;
    disk.size = Some(MIB + 1);
    assert!(error(&disk).starts_with("the size of the disk is 1048577"));
    disk.size = None;
    disk.align = 0;
    assert!(error(&disk).starts_with("the alignment of the disk"));
}

#[test]
fn a_partition_has_a_size_that_holds_its_content() {
    let disk = mbr(vec![partition("a", "linux", Size::Exact(512))]);
    let volume = |_, _| Ok::<_, DiskError>(Some(Pieces::new(513, Vec::new())));
    assert_eq!(
        lay_out(&disk, volume).unwrap_err().to_string(),
        "the content of partition 1 (\"a\") has 513 bytes, the partition 512; give it at least as many, or \"fit\" as its size"
    );
    for size in [Size::Fit, Size::Exact(0)] {
        let disk = mbr(vec![partition("", "linux", size)]);
        let error = lay_out(&disk, |_, _| Ok::<_, DiskError>(None)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "partition 1 has neither content nor a size; give it a size in bytes"
        );
    }
}

#[test]
fn a_table_holds_so_many_partitions_of_its_own_types() {
    let five = vec![partition("", "linux", Size::Exact(512)); 5];
    assert!(
        error(&mbr(five.clone())).contains("5 partitions are too many; an MBR holds at most 4")
    );
    assert!(lay_out_with(&gpt(five), 0).is_ok());
    let many = vec![partition("", "linux", Size::Exact(512)); 129];
    assert!(error(&gpt(many)).contains("129 partitions are too many; a GPT holds at most 128"));

    assert!(error(&mbr(vec![partition("", "bios-boot", Size::Fit)])).contains("is none of an MBR"));
    assert!(error(&gpt(vec![partition("", "0x83", Size::Fit)])).contains("is none of a GPT"));
    let mut none = partition("", "linux", Size::Fit);
    none.kind = None;
    assert!(error(&gpt(vec![none])).contains("partition 1 has no type; a GPT needs one"));
}

#[test]
fn an_mbr_counts_to_two_tebibytes() {
    let limit = u64::from(u32::MAX) * 512;
    let at = |start, size| {
        let mut partition = partition("", "linux", Size::Exact(size));
        partition.start = Some(start);
        partition
    };
    assert!(lay_out_with(&mbr(vec![at(limit, limit)]), 0).is_ok());
    assert!(error(&mbr(vec![at(limit + 512, 512)])).contains("so use a GPT"));
    assert!(error(&mbr(vec![at(MIB, limit + 512)])).contains("so use a GPT"));
    assert!(lay_out_with(&gpt(vec![at(MIB, limit + 512)]), 0).is_ok());
    let half = 1 << 62;
    let message = error(&gpt(vec![at(half, half)]));
    assert_eq!(
        message,
        "partition 1 would end beyond 8 EiB, where no file does; make it smaller"
    );
    let message = error(&gpt(vec![at(half, half - 512)]));
    assert_eq!(
        message,
        "the disk would end beyond 8 EiB, where no file does; make it smaller"
    );
}

fn grub(core_bytes: usize) -> Grub {
    let mut boot = vec![0; 512];
    boot[0x66] = 0xeb;
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    Grub::new(&boot, vec![1; core_bytes]).unwrap()
}

/// The piece at `offset`, in full.
fn bytes_at(pieces: &Pieces, offset: u64) -> Vec<u8> {
    let piece = pieces
        .as_slice()
        .iter()
        .find(|piece| piece.offset == offset);
    match &piece.unwrap().content {
        Content::Source { source, skip: 0 } => {
            let mut bytes = vec![0; usize::try_from(source.length).unwrap()];
            source.read_at(0, &mut bytes).unwrap();
            bytes
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn grub_is_told_where_its_core_stands() {
    let mut disk = gpt(vec![partition("bios", "bios-boot", Size::Exact(MIB))]);
    disk.grub = Some(grub(1025));
    let pieces = lay_out(&disk, |_, _| Ok::<_, DiskError>(None)).unwrap();
    let record = bytes_at(&pieces, 0);
    assert_eq!(record[0x5c..0x64], 2048_u64.to_le_bytes());
    assert_eq!(record[0x66..0x68], [0x90; 2]);
    let core = bytes_at(&pieces, MIB);
    assert_eq!(core[0x1f4..0x1fc], 2049_u64.to_le_bytes());
    assert_eq!(core[0x1fc..0x1fe], 2_u16.to_le_bytes());

    let mut disk = mbr(vec![partition("root", "linux", Size::Exact(MIB))]);
    disk.grub = Some(grub(2047 * 512));
    let pieces = lay_out(&disk, |_, _| Ok::<_, DiskError>(None)).unwrap();
    assert_eq!(bytes_at(&pieces, 0)[0x5c..0x64], 1_u64.to_le_bytes());
    assert_eq!(bytes_at(&pieces, 512)[0x1f4..0x1fc], 2_u64.to_le_bytes());
}

#[test]
fn grub_needs_room() {
    let mut disk = gpt(vec![partition("bios", "bios-boot", Size::Exact(1024))]);
    disk.grub = Some(grub(1025));
    let refuse = |disk: &Disk| {
        let error = lay_out(disk, |_, _| Ok::<_, DiskError>(None)).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refuse(&disk),
        "GRUB's core image has 1536 bytes and partition 1 (\"bios\") 1024; make it larger"
    );
    disk.partitions[0].kind = Some("linux".parse().unwrap());
    assert!(refuse(&disk).contains("needs a partition of type \"bios-boot\""));

    let mut disk = mbr(vec![partition("root", "linux", Size::Exact(MIB))]);
    disk.grub = Some(grub(2047 * 512 + 1));
    assert!(refuse(&disk).contains("partition 1 (\"root\") stands at bytes 1048576 to 2097152 and overlaps GRUB's core image, which ends at 1049088"));
    let sector_size = 4096.try_into().unwrap();
    let guid = "97fd5997-d90b-4aa3-8d16-c1723aea73c1".parse().unwrap();
    disk.table = Table::Gpt { guid, sector_size };
    assert!(refuse(&disk).contains("sectors of 512 bytes"));
}

#[test]
fn what_is_no_grub_is_refused() {
    let boot = |bytes: &[u8]| Grub::new(bytes, vec![0; 1024]).unwrap_err().to_string();
    assert!(boot(&[0; 511]).contains("it has 511 bytes, expected 512"));
    assert!(boot(&[0; 512]).contains("it does not end with 55 aa"));
    let mut sector = [0; 512];
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    assert!(boot(&sector).contains("no jump at byte 0x66"));
    sector[0x66] = 0xeb;
    for length in [0, 512, (65_536 << 9) + 1] {
        let error = Grub::new(&sector, vec![0; length]).unwrap_err().to_string();
        let expected = format!("it has {length} bytes, expected 513 to 33554432");
        assert!(error.ends_with(&expected), "{error}");
    }
    assert!(Grub::new(&sector, vec![0; 65_536 << 9]).is_ok());
}
