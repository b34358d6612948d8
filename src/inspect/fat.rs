//! FAT: what the boot sector says, and the files, which the `hadris-fat` crate reads.
//!
//! The crate checks places and chains as it follows them. That there is a filesystem, and how
//! much of it is free, is found here.

use hadris_fat::Error;
use hadris_fat::sync::read::FileReader;
use hadris_fat::sync::{self, ErrorKind, FatDir, FatVolume, FileEntry, IoResult};
use hadris_fat::sync::{Read, Seek, SeekFrom};

use super::disk::Volume;
use super::filesystem::FilesystemFault;
use super::format::{BOOT_SIGNATURE, BootSector};

/// What the boot sector says, and the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatFacts {
    /// The volume's name, without spaces at its end; of the root directory, else of the boot
    /// sector.
    pub label: String,
    /// Its serial number, as `blkid` has it: `2178-694E`.
    pub serial: String,
    /// Bytes of a sector.
    pub sector_bytes: u64,
    /// Bytes of a cluster.
    pub cluster_bytes: u64,
    /// Clusters.
    pub clusters: u64,
    /// Clusters that nothing uses.
    pub free_clusters: u64,
    /// Bytes of the filesystem, tables too.
    pub bytes: u64,
    kind: &'static str,
}

/// What the label of a volume without one may be.
const NO_LABEL: &str = "NO NAME";

impl FatFacts {
    /// What the filesystem in `volume` is; nothing if there is none.
    pub(super) fn of(volume: &Volume) -> Result<Option<Self>, FilesystemFault> {
        let mut bytes = [0; size_of::<BootSector>()];
        if volume.size() < bytes.len() as u64 {
            return Ok(None);
        }
        volume.read_exact_at(&mut bytes, 0)?;
        let Some(geometry) = Geometry::of(&zerocopy::transmute!(bytes)) else {
            return Ok(None);
        };
        if geometry.bytes() > volume.size() {
            return Err(FilesystemFault::CutOff {
                filesystem: geometry.bits.name(),
                bytes: geometry.bytes(),
                size: volume.size(),
            });
        }
        let free_clusters = geometry.free_clusters(volume)?;
        let fat = FatFiles::open(volume)?;
        let label = fat.label()?;
        let id = fat.volume.volume_info().volume_id();
        Ok(Some(Self {
            label,
            serial: format!("{:04X}-{:04X}", id >> 16, id & 0xFFFF),
            sector_bytes: geometry.sector,
            cluster_bytes: geometry.cluster,
            clusters: geometry.clusters,
            free_clusters,
            bytes: geometry.bytes(),
            kind: geometry.bits.name(),
        }))
    }

    /// `fat12`, `fat16` or `fat32`.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Bytes of the clusters that nothing uses.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free_clusters * self.cluster_bytes
    }
}

/// Where things are; all in the same bounds.
struct Geometry {
    /// Bytes of a sector.
    sector: u64,
    /// Bytes of a cluster.
    cluster: u64,
    /// Sectors of all.
    sectors: u64,
    /// Byte at which the first table begins.
    table: u64,
    clusters: u64,
    bits: Bits,
}

/// Bits of an entry of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bits {
    Fat12,
    Fat16,
    Fat32,
}

impl Bits {
    fn name(self) -> &'static str {
        match self {
            Self::Fat12 => "fat12",
            Self::Fat16 => "fat16",
            Self::Fat32 => "fat32",
        }
    }

    /// Bytes of a table of so many entries.
    fn table_bytes(self, entries: u64) -> u64 {
        match self {
            Self::Fat12 => (entries * 3).div_ceil(2),
            Self::Fat16 => entries * 2,
            Self::Fat32 => entries * 4,
        }
    }
}

impl Geometry {
    /// That of the filesystem whose boot sector is `boot`, if it is one.
    fn of(boot: &BootSector) -> Option<Self> {
        let sector = u64::from(boot.bpb_byts_per_sec.get());
        let per_cluster = u64::from(boot.bpb_sec_per_clus);
        let reserved = u64::from(boot.bpb_rsvd_sec_cnt.get());
        let is_sound = boot.signature == BOOT_SIGNATURE
            && matches!(boot.bs_jmp_boot, [0xEB, _, 0x90] | [0xE9, ..])
            && matches!(sector, 512 | 1024 | 2048 | 4096)
            && boot.bpb_sec_per_clus.is_power_of_two()
            && reserved > 0
            && matches!(boot.bpb_num_fats, 1 | 2)
            && matches!(boot.bpb_media, 0xF0 | 0xF8..=0xFF);
        if !is_sound {
            return None;
        }
        let either =
            |short: u16, long: u32| u64::from(if short == 0 { long } else { short.into() });
        let sectors = either(boot.bpb_tot_sec_16.get(), boot.bpb_tot_sec_32.get());
        let short = boot.bpb_fat_sz_16.get();
        let table_sectors = either(short, boot.bpb_fat_sz_32.get());
        let root = (u64::from(boot.bpb_root_ent_cnt.get()) * 32).div_ceil(sector);
        let before = reserved + u64::from(boot.bpb_num_fats) * table_sectors + root;
        let clusters = sectors.checked_sub(before)? / per_cluster;
        let bits = match clusters {
            0 => return None,
            _ if short == 0 => Bits::Fat32,
            1..4085 => Bits::Fat12,
            4085..65525 => Bits::Fat16,
            _ => return None,
        };
        let is_enough = bits.table_bytes(clusters + 2) <= table_sectors * sector;
        is_enough.then_some(Self {
            sector,
            cluster: sector * per_cluster,
            sectors,
            table: reserved * sector,
            clusters,
            bits,
        })
    }

    fn bytes(&self) -> u64 {
        self.sectors * self.sector
    }

    /// Clusters whose entry in the first table is 0.
    fn free_clusters(&self, volume: &Volume) -> Result<u64, FilesystemFault> {
        /// Bytes of the table that are read at once: whole entries of each kind.
        const CHUNK: u64 = 3 << 16;
        let end = self.bits.table_bytes(self.clusters + 2);
        let mut entries = 0;
        let mut free = 0;
        let mut at = 0;
        while at < end {
            let length = CHUNK.min(end - at);
            let mut chunk = vec![0; usize::try_from(length).unwrap_or_default()];
            volume.read_exact_at(&mut chunk, self.table + at)?;
            self.for_each_entry(&chunk, |entry| {
                // The first two are no clusters.
                if entry == 0 && (2..self.clusters + 2).contains(&entries) {
                    free += 1;
                }
                entries += 1;
            });
            at += length;
        }
        Ok(free)
    }

    fn for_each_entry(&self, table: &[u8], mut with: impl FnMut(u32)) {
        match self.bits {
            Bits::Fat12 => {
                for bytes in table.chunks(3) {
                    let byte = |index: usize| u32::from(bytes.get(index).copied().unwrap_or(1));
                    with(byte(0) | (byte(1) & 0xF) << 8);
                    with(byte(1) >> 4 | byte(2) << 4);
                }
            }
            Bits::Fat16 => {
                let (entries, _) = table.as_chunks::<2>();
                for bytes in entries {
                    with(u16::from_le_bytes(*bytes).into());
                }
            }
            Bits::Fat32 => {
                let (entries, _) = table.as_chunks::<4>();
                // The upper four bits are reserved.
                for bytes in entries {
                    with(u32::from_le_bytes(*bytes) & 0x0FFF_FFFF);
                }
            }
        }
    }
}

/// The files of a filesystem.
pub(super) struct FatFiles {
    volume: FatVolume<Cursor>,
}

/// What a path leads to.
pub(super) enum FatNode<'a> {
    Directory(FatDir<'a, Cursor>),
    File(Box<FileEntry>),
}

impl FatFiles {
    /// Opens the filesystem in `volume`.
    pub(super) fn open(volume: &Volume) -> Result<Self, FilesystemFault> {
        let cursor = Cursor {
            volume: volume.clone(),
            position: 0,
        };
        let volume = FatVolume::open(cursor)?;
        Ok(Self { volume })
    }

    fn label(&self) -> Result<String, FilesystemFault> {
        let label = match self.volume.read_root_label()? {
            Some(label) => label,
            None => *self.volume.volume_info().volume_label_raw(),
        };
        let label = String::from_utf8_lossy(&label).trim_end().to_owned();
        Ok(if label == NO_LABEL {
            String::new()
        } else {
            label
        })
    }

    /// What the names of `path`, below the root, lead to; nothing if there is no such thing.
    pub(super) fn node(&self, path: &[&str]) -> Result<Option<FatNode<'_>>, FilesystemFault> {
        let mut node = FatNode::Directory(self.volume.root_dir());
        for name in path {
            let FatNode::Directory(directory) = node else {
                return Ok(None);
            };
            let Some(entry) = directory.find(name)? else {
                return Ok(None);
            };
            node = if entry.is_directory() {
                FatNode::Directory(directory.open_entry(&entry)?)
            } else {
                FatNode::File(Box::new(entry))
            };
        }
        Ok(Some(node))
    }

    /// What is in a directory, in the order of names.
    pub(super) fn entries(
        directory: &FatDir<'_, Cursor>,
    ) -> Result<Vec<FileEntry>, FilesystemFault> {
        let mut found = Vec::new();
        let mut entries = directory.entries();
        while let Some(entry) = entries.next_entry() {
            let entry = entry?;
            let Some(file) = entry.as_entry() else {
                continue;
            };
            if file.name().contains(['/', '\0']) {
                return Err(FilesystemFault::Fat {
                    reason: format!(
                        "the name {:?} has a character that no name has",
                        file.name()
                    ),
                });
            }
            if !matches!(&*file.name(), "." | "..") {
                found.push(file.clone());
            }
        }
        found.sort_by(|a, b| a.name().cmp(&b.name()));
        Ok(found)
    }

    /// Shows the content of a file to `with`, part by part.
    pub(super) fn read<E: From<FilesystemFault>>(
        &self,
        file: &FileEntry,
        mut with: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // The crate looks at the file's entry once more for each part.
        let mut buffer = vec![0; 1 << 20];
        let mut reader = FileReader::new(&self.volume, file).map_err(FilesystemFault::from)?;
        let mut left = file.len();
        while left > 0 {
            let length = reader.read(&mut buffer).map_err(FilesystemFault::from)?;
            if length == 0 {
                return Err(FilesystemFault::Fat {
                    reason: format!("a file ends {left} bytes before its end"),
                }
                .into());
            }
            with(&buffer[..length])?;
            left = left.saturating_sub(length as u64);
        }
        Ok(())
    }
}

impl From<Error> for FilesystemFault {
    fn from(error: Error) -> Self {
        let reason = match error {
            // The crate's errors of this kind hold nothing that a user knows.
            Error::Io(_) | Error::IoContext { .. } => {
                "the bytes of a file or directory are not where it says".into()
            }
            error => error.to_string(),
        };
        Self::Fat { reason }
    }
}

/// A volume as the crate reads it.
pub(super) struct Cursor {
    volume: Volume,
    /// Where the next byte is read.
    position: u64,
}

impl Read for Cursor {
    type Error = ErrorKind;

    fn read(&mut self, bytes: &mut [u8]) -> IoResult<usize> {
        let left = self.volume.size().saturating_sub(self.position);
        let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.volume
            .read_exact_at(&mut bytes[..length], self.position)
            .map_err(|_| sync::Error::from_kind(ErrorKind::Other))?;
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Cursor {
    type Error = ErrorKind;

    fn seek(&mut self, to: SeekFrom) -> IoResult<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.volume.size().checked_add_signed(by),
        };
        self.position = position.ok_or(sync::Error::from_kind(ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
