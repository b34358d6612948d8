//! Where each volume of a disk stands, by arithmetic alone.

use std::ops::Range;

use super::{Disk, DiskError, Partition, PartitionLabel, SectorSize, Size, Table, gpt, grub, mbr};
use crate::image::{Content, Piece, Pieces};

/// The place of a volume that is still to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the start of the disk.
    pub start: u64,
    /// Bytes that the volume has; as few as will do if not given.
    pub size: Option<u64>,
    /// Sectors of the disk.
    pub sector_size: SectorSize,
}

/// The disk as `disk` wants it. `volume` makes the content of the partition of an index, for
/// its place; none if it has no content. It is asked in order.
pub fn lay_out<E: From<DiskError>>(
    disk: &Disk,
    volume: impl FnMut(usize, Place) -> Result<Option<Pieces>, E>,
) -> Result<Pieces, E> {
    Ok(lay_out_with_regions(disk, volume)?.0)
}

/// The same, and what takes the bytes of the disk: in order, none overlapping another. What is
/// left between them is nobody's.
pub fn lay_out_with_regions<E: From<DiskError>>(
    disk: &Disk,
    mut volume: impl FnMut(usize, Place) -> Result<Option<Pieces>, E>,
) -> Result<(Pieces, Vec<Region>), E> {
    let frame = Frame::new(disk)?;
    let mut partitions: Vec<Range<u64>> = Vec::new();
    let mut pieces = Vec::new();
    for index in 0..disk.partitions.len() {
        let place = frame.place(index, &partitions)?;
        let content = volume(index, place)?;
        let size = frame.size(index, place, content.as_ref().map(Pieces::size))?;
        partitions.push(place.start..frame.end(index, place.start, size)?);
        pieces.extend(
            content
                .into_iter()
                .flat_map(|volume| volume.at(place.start)),
        );
    }
    let placed = frame.close(partitions)?;
    pieces.extend(placed.pieces(disk)?);
    Ok((Pieces::new(placed.size, pieces), placed.regions))
}

/// What the table leaves of a disk for volumes.
pub(super) struct Frame<'a> {
    disk: &'a Disk,
    sector_size: SectorSize,
    /// Bytes at the start that the table takes.
    head: u64,
    /// Bytes at the end that it takes.
    tail: u64,
}

/// Partitions at their places.
pub(super) struct Placed {
    /// Bytes of the disk.
    pub size: u64,
    /// Bytes of each partition.
    pub partitions: Vec<Range<u64>>,
    pub sector_size: SectorSize,
    /// All that takes bytes, in order.
    pub regions: Vec<Region>,
}

/// The end of all disks: offsets of files are signed.
const MAX_BYTES: u64 = i64::MAX as u64;

impl<'a> Frame<'a> {
    fn new(disk: &'a Disk) -> Result<Self, DiskError> {
        let (sector_size, head, tail) = match disk.table {
            Table::None => (SectorSize::BYTES_512, 0, 0),
            Table::Mbr { .. } => (SectorSize::BYTES_512, mbr::BYTES, 0),
            Table::Gpt { sector_size, .. } => (
                sector_size,
                gpt::head_bytes(sector_size),
                gpt::tail_bytes(sector_size),
            ),
        };
        let frame = Self {
            disk,
            sector_size,
            head,
            tail,
        };
        frame.check()?;
        Ok(frame)
    }

    /// All that can be judged before a volume is made.
    fn check(&self) -> Result<(), DiskError> {
        let (table, limit) = match self.disk.table {
            Table::None => ("a disk without a table", 1),
            Table::Mbr { .. } => (mbr::NAME, mbr::PARTITIONS),
            Table::Gpt { .. } => (gpt::NAME, gpt::PARTITIONS),
        };
        let found = self.disk.partitions.len();
        if found > limit {
            return Err(DiskError::TooMany {
                found,
                table,
                limit,
            });
        }
        self.check_unit(
            "the alignment of the disk".into(),
            Some(self.disk.align.max(1)),
        )?;
        self.check_unit("the size of the disk".into(), self.disk.size)?;
        for (index, partition) in self.disk.partitions.iter().enumerate() {
            self.check_partition(self.label(index), partition)?;
        }
        self.check_rest()
    }

    /// Nothing comes behind a partition that leaves nothing.
    fn check_rest(&self) -> Result<(), DiskError> {
        let partitions = &self.disk.partitions;
        let Some(rest) = partitions.iter().position(|one| one.size == Size::Rest) else {
            return Ok(());
        };
        let mut later = partitions.iter().skip(rest + 1);
        match later.position(|partition| partition.start.is_none()) {
            Some(position) => Err(DiskError::BehindRest {
                partition: self.label(rest),
                behind: self.label(rest + 1 + position),
            }),
            None => Ok(()),
        }
    }

    fn check_partition(
        &self,
        label: PartitionLabel,
        partition: &Partition,
    ) -> Result<(), DiskError> {
        self.check_unit(format!("the start of {label}"), partition.start)?;
        self.check_unit(format!("the alignment of {label}"), partition.align)?;
        if let Size::Exact(size) = partition.size {
            self.check_unit(format!("the size of {label}"), Some(size))?;
        }
        let (table, is_known, expected) = match self.disk.table {
            Table::None => return Ok(()),
            Table::Mbr { .. } => (
                mbr::NAME,
                partition.kind.map(|kind| kind.mbr().is_some()),
                "another name such as \"linux\", a number such as \"0x83\", or use a GPT",
            ),
            Table::Gpt { .. } => (
                gpt::NAME,
                partition.kind.map(|kind| kind.gpt().is_some()),
                "another name such as \"linux\", or a GUID",
            ),
        };
        match is_known {
            Some(true) => Ok(()),
            Some(false) => Err(DiskError::Type {
                partition: label,
                kind: partition
                    .kind
                    .map(|kind| kind.to_string())
                    .unwrap_or_default(),
                table,
                expected,
            }),
            None => Err(DiskError::NoType {
                partition: label,
                table,
            }),
        }
    }

    fn check_unit(&self, what: String, bytes: Option<u64>) -> Result<(), DiskError> {
        let unit = self.sector_size.bytes();
        match bytes {
            Some(bytes) if bytes % unit != 0 => Err(DiskError::Unaligned { what, bytes, unit }),
            Some(bytes) if bytes > MAX_BYTES => Err(DiskError::TooLarge { what }),
            _ => Ok(()),
        }
    }

    fn label(&self, index: usize) -> PartitionLabel {
        PartitionLabel::new(index, &self.disk.partitions[index])
    }

    /// The place of the partition of `index`, behind those `before` it.
    fn place(&self, index: usize, before: &[Range<u64>]) -> Result<Place, DiskError> {
        let partition = &self.disk.partitions[index];
        let behind = before.iter().map(|bytes| bytes.end).max();
        let start = match partition.start {
            Some(start) => start,
            None if self.disk.table == Table::None => 0,
            None => {
                let align = partition.align.unwrap_or(self.disk.align);
                let behind = behind.unwrap_or(0).max(self.head);
                self.end(index, 0, round_up(behind, align).unwrap_or(u64::MAX))?
            }
        };
        let size = match partition.size {
            Size::Fit => None,
            Size::Exact(0) => {
                return Err(DiskError::Empty {
                    partition: self.label(index),
                });
            }
            Size::Exact(size) => Some(size),
            Size::Rest => Some(self.rest(index, start)?),
        };
        Ok(Place {
            start,
            size,
            sector_size: self.sector_size,
        })
    }

    /// Bytes between `start` and the end of the disk.
    fn rest(&self, index: usize, start: u64) -> Result<u64, DiskError> {
        let partition = self.label(index);
        let Some(size) = self.disk.size else {
            return Err(DiskError::RestOfNothing { partition });
        };
        let usable = size.saturating_sub(self.tail);
        if start >= usable {
            return Err(DiskError::NothingLeft {
                partition,
                start,
                size: usable,
            });
        }
        Ok(usable - start)
    }

    /// Bytes of the partition of `index` with content of so many bytes.
    fn size(&self, index: usize, place: Place, content: Option<u64>) -> Result<u64, DiskError> {
        let needed = content.unwrap_or(0);
        match place.size {
            Some(size) if needed > size => Err(DiskError::TooSmall {
                partition: self.label(index),
                needed,
                size,
            }),
            Some(size) => Ok(size),
            None if needed == 0 => Err(DiskError::Empty {
                partition: self.label(index),
            }),
            None => Ok(round_up(needed, self.sector_size.bytes()).unwrap_or(u64::MAX)),
        }
    }

    /// The byte behind `size` bytes from `start` on, for the partition of `index`.
    fn end(&self, index: usize, start: u64, size: u64) -> Result<u64, DiskError> {
        start
            .checked_add(size)
            .filter(|end| *end <= MAX_BYTES)
            .ok_or_else(|| DiskError::TooLarge {
                what: self.label(index).to_string(),
            })
    }

    /// The disk with partitions at `places`, if nothing stands in the way of anything.
    fn close(self, partitions: Vec<Range<u64>>) -> Result<Placed, DiskError> {
        let mut regions = self.regions(&partitions)?;
        let end = regions.iter().map(|region| region.bytes.end).max();
        let needed = end.unwrap_or(0) + self.tail;
        let size = match self.disk.size {
            Some(size) => size,
            // A volume by itself has the size that it has.
            None if self.disk.table == Table::None => needed,
            None => round_up(needed, self.disk.align).unwrap_or(u64::MAX),
        };
        if size > MAX_BYTES {
            return Err(DiskError::TooLarge {
                what: "the disk".into(),
            });
        }
        let usable = size.saturating_sub(self.tail);
        regions.sort_by_key(|region| region.bytes.start);
        for region in &regions {
            if region.bytes.end > usable {
                return Err(region.beyond(usable));
            }
        }
        for pair in regions.windows(2) {
            if pair[0].bytes.end > pair[1].bytes.start {
                return Err(pair[0].overlapped_by(&pair[1]));
            }
        }
        if let Table::Mbr { .. } = self.disk.table {
            self.check_reach(&partitions)?;
        }
        if self.tail > 0 {
            regions.push(Region::fixed("the backup of the table", usable..size));
        }
        Ok(Placed {
            size,
            partitions,
            sector_size: self.sector_size,
            regions,
        })
    }

    /// Everything that takes bytes of the disk, but for what stands at its end.
    fn regions(&self, partitions: &[Range<u64>]) -> Result<Vec<Region>, DiskError> {
        let mut regions = Vec::new();
        if self.head > 0 {
            regions.push(Region::fixed("the partition table", 0..self.head));
        }
        for (index, bytes) in partitions.iter().enumerate() {
            regions.push(Region {
                partition: Some(index),
                ..Region::new(self.label(index).to_string(), bytes.clone())
            });
        }
        for raw in &self.disk.raw {
            let end = raw.offset.checked_add(raw.source.length);
            let end = end
                .filter(|end| *end <= MAX_BYTES)
                .ok_or_else(|| DiskError::TooLarge {
                    what: raw.name.clone(),
                })?;
            regions.push(Region::new(raw.name.clone(), raw.offset..end));
        }
        if let Some(grub) = &self.disk.grub {
            let gap = grub::gap(self.disk, grub)?;
            regions.extend(gap.map(|bytes| Region::fixed("GRUB's core image", bytes)));
        }
        Ok(regions)
    }

    /// An error if a partition is out of the reach of a master boot record.
    fn check_reach(&self, partitions: &[Range<u64>]) -> Result<(), DiskError> {
        for (index, bytes) in partitions.iter().enumerate() {
            let sector = self.sector_size.bytes();
            let last = u64::from(u32::MAX);
            if bytes.start / sector > last || (bytes.end - bytes.start) / sector > last {
                return Err(DiskError::BeyondMbr {
                    partition: self.label(index),
                    start: bytes.start,
                    end: bytes.end,
                    limit: last * sector,
                });
            }
        }
        Ok(())
    }
}

impl Placed {
    /// The table, files at places of their own, and what a BIOS starts.
    fn pieces(&self, disk: &Disk) -> Result<Vec<Piece>, DiskError> {
        let boot = match &disk.grub {
            Some(grub) => grub.embed(disk, self)?,
            None => grub::Embedded::default(),
        };
        let mut pieces = match disk.table {
            Table::None => Vec::new(),
            Table::Mbr { id } => mbr::pieces(id, &boot.code, disk, self),
            Table::Gpt { guid, .. } => gpt::pieces(guid, &boot.code, disk, self),
        };
        pieces.extend(boot.core);
        pieces.extend(disk.raw.iter().map(|raw| Piece {
            offset: raw.offset,
            length: raw.source.length,
            content: Content::Source {
                source: raw.source.clone(),
                skip: 0,
            },
        }));
        Ok(pieces)
    }
}

/// Bytes that something takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// What messages call it.
    pub what: String,
    /// The partition that it is, by its index from 0.
    pub partition: Option<usize>,
    /// Bytes from the start of the disk.
    pub bytes: Range<u64>,
    /// Whether its place follows from the kind of disk.
    is_fixed: bool,
}

impl Region {
    /// What nobody can move.
    fn fixed(what: &str, bytes: Range<u64>) -> Self {
        Self {
            is_fixed: true,
            ..Self::new(what, bytes)
        }
    }

    /// What no partition is.
    pub(crate) fn new(what: impl Into<String>, bytes: Range<u64>) -> Self {
        Self {
            what: what.into(),
            partition: None,
            bytes,
            is_fixed: false,
        }
    }

    fn beyond(&self, size: u64) -> DiskError {
        DiskError::Beyond {
            what: self.what.clone(),
            start: self.bytes.start,
            end: self.bytes.end,
            size,
        }
    }

    fn overlapped_by(&self, later: &Self) -> DiskError {
        DiskError::Overlap {
            first: self.what.clone(),
            first_end: self.bytes.end,
            second: later.what.clone(),
            start: later.bytes.start,
            end: later.bytes.end,
            remedy: match (self.is_fixed, later.is_fixed) {
                (true, _) => format!("let it start at byte {} or behind", self.bytes.end),
                (false, true) => format!("move {} behind byte {}", self.what, later.bytes.end),
                (false, false) => "move one of them".into(),
            },
        }
    }
}

/// The first multiple of `unit` from `bytes` on, if 64 bits hold it.
fn round_up(bytes: u64, unit: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(unit.max(1))
}

#[cfg(test)]
mod tests;
