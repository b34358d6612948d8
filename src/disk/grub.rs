//! GRUB for a BIOS: its boot sector, and its core image in a partition of its own or in the
//! gap between a master boot record and the first partition.
//!
//! As `grub-bios-setup` does (GRUB 2, util/setup.c, include/grub/i386/pc/boot.h): each of the
//! two is told where the core continues.

use std::ops::Range;

use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout::Placed;
use super::{Disk, DiskError, Partition, PartitionLabel, SectorSize, Table, mbr};
use crate::image::{Content, Piece};
use crate::source::Source;

/// What a BIOS starts: `boot.img` and a `core.img` of `grub-mkimage`.
#[derive(Clone)]
pub struct Grub {
    boot: BootSector,
    core: Vec<u8>,
}

impl std::fmt::Debug for Grub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GRUB with a core of {} bytes", self.core.len())
    }
}

/// Why GRUB cannot stand on a disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrubError {
    /// A file that is no boot sector.
    #[error("nix2image.disk.grub.boot is no boot.img of GRUB for i386-pc: {reason}")]
    Boot {
        /// What is wrong with it.
        reason: String,
    },
    /// A file that is no core image.
    #[error("nix2image.disk.grub.core is no core image of grub-mkimage -O i386-pc: {reason}")]
    Core {
        /// What is wrong with it.
        reason: String,
    },
    /// A disk that a BIOS cannot start.
    #[error("GRUB for a BIOS needs a disk with an MBR, or a GPT with sectors of 512 bytes")]
    Table,
    /// A GPT without a place for the core.
    #[error(
        "GRUB needs a partition of type \"bios-boot\" for its core image, {needed} bytes at least"
    )]
    NoPartition {
        /// Bytes of the core.
        needed: u64,
    },
    /// A place that is too small.
    #[error("GRUB's core image has {needed} bytes and {partition} {size}; make it larger")]
    TooSmall {
        /// The partition.
        partition: PartitionLabel,
        /// Bytes of the core.
        needed: u64,
        /// Bytes of the partition.
        size: u64,
    },
}

/// `boot.img`, the sector that a BIOS reads.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct BootSector {
    /// A jump, and a block for the parameters of a BIOS.
    before: [u8; 0x5c],
    /// The sector where the core begins.
    kernel_sector: U64,
    /// The disk that the core is on; 0xff for that of the boot sector.
    boot_drive: u8,
    padding: u8,
    /// A jump over a check of the drive that the BIOS names.
    boot_drive_check: [u8; 2],
    after: [u8; 0x196],
    signature: [u8; 2],
}

const _: () = assert!(size_of::<BootSector>() == 512);

/// The first sector of a core image, which reads the others.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CoreSector {
    code: [u8; 0x1f4],
    /// The sector where the rest of the core begins.
    start: U64,
    /// Sectors of the rest.
    length: U16,
    /// Where in memory it goes.
    segment: U16,
}

const _: () = assert!(size_of::<CoreSector>() == SECTOR);

const SECTOR: usize = 512;
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
const JUMP: u8 = 0xeb;
const NO_OPERATION: u8 = 0x90;

/// Code for the master boot record, and the core at its place.
#[derive(Default)]
pub(super) struct Embedded {
    pub code: Vec<u8>,
    pub core: Option<Piece>,
}

impl Grub {
    /// GRUB of the bytes of `boot.img` and `core.img`.
    pub fn new(boot: &[u8], core: Vec<u8>) -> Result<Self, GrubError> {
        let length = boot.len();
        let boot = BootSector::read_from_bytes(boot).map_err(|_| GrubError::Boot {
            reason: format!("it has {length} bytes, expected {SECTOR}"),
        })?;
        if boot.signature != SIGNATURE {
            return Err(GrubError::Boot {
                reason: "it does not end with 55 aa".into(),
            });
        }
        if boot.boot_drive_check[0] != JUMP {
            return Err(GrubError::Boot {
                reason: "there is no jump at byte 0x66".into(),
            });
        }
        let most = SECTOR * (1 + usize::from(u16::MAX));
        if core.len() <= SECTOR || core.len() > most {
            return Err(GrubError::Core {
                reason: format!(
                    "it has {} bytes, expected {} to {most}",
                    core.len(),
                    SECTOR + 1
                ),
            });
        }
        Ok(Self { boot, core })
    }

    /// Bytes of the core in whole sectors.
    fn core_bytes(&self) -> u64 {
        (self.core.len() as u64).next_multiple_of(SECTOR as u64)
    }

    /// GRUB on the disk: in its partition, or behind the record.
    pub(super) fn embed(&self, disk: &Disk, placed: &Placed) -> Result<Embedded, DiskError> {
        let offset = match gap(disk, self)? {
            Some(gap) => gap.start,
            None => self.in_partition(disk, placed)?,
        };
        let sector = offset / SECTOR as u64;
        let mut boot = self.boot;
        boot.kernel_sector = sector.into();
        // Some BIOSes name another drive than the disk.
        boot.boot_drive_check = [NO_OPERATION; 2];
        Ok(Embedded {
            code: boot.as_bytes()[..mbr::CODE_BYTES].to_vec(),
            core: Some(Piece {
                offset,
                length: self.core_bytes(),
                content: Content::Source {
                    source: Source::bytes(self.core_at(sector)),
                    skip: 0,
                },
            }),
        })
    }

    fn in_partition(&self, disk: &Disk, placed: &Placed) -> Result<u64, GrubError> {
        let needed = self.core_bytes();
        let is_bios_boot = |(_, partition): &(usize, &Partition)| {
            partition
                .kind
                .is_some_and(super::PartitionType::is_bios_boot)
        };
        let (index, partition) = disk
            .partitions
            .iter()
            .enumerate()
            .find(is_bios_boot)
            .ok_or(GrubError::NoPartition { needed })?;
        let place = &placed.partitions[index];
        let size = place.end - place.start;
        if size < needed {
            return Err(GrubError::TooSmall {
                partition: PartitionLabel::new(index, partition),
                needed,
                size,
            });
        }
        Ok(place.start)
    }

    /// The core that begins at `sector`.
    fn core_at(&self, sector: u64) -> Vec<u8> {
        let mut core = self.core.clone();
        let rest = core.len().div_ceil(SECTOR) - 1;
        let (first, _) = CoreSector::mut_from_prefix(&mut core).expect("it has a sector");
        first.start = (sector + 1).into();
        first.length = u16::try_from(rest).expect("it has been counted").into();
        core
    }
}

/// Where the core stands if it is behind a master boot record.
pub(super) fn gap(disk: &Disk, grub: &Grub) -> Result<Option<Range<u64>>, GrubError> {
    match disk.table {
        Table::Mbr { .. } => Ok(Some(mbr::BYTES..mbr::BYTES + grub.core_bytes())),
        Table::Gpt { sector_size, .. } if sector_size == SectorSize::BYTES_512 => Ok(None),
        Table::Gpt { .. } | Table::None => Err(GrubError::Table),
    }
}
