//! Looking into an image: what it is, and what stands in it.
//!
//! ```text
//!  file ──▶ container ──▶ Disk ──▶ table ──▶ Volume ──▶ filesystem ──▶ files
//!           raw · zstd             GPT · MBR            ext4: ext4-view
//!           qcow2 · VHD                                 FAT: hadris-fat
//! ```
//!
//! Nothing here is used to make an image, and no structure is taken from the code that does:
//! what we write is judged by readers of their own. What is read was written by anybody, so no
//! number is used before it was compared with what there is.

mod container;
mod disk;
mod error;
mod ext4;
mod fat;
mod files;
mod filesystem;
mod format;
pub mod json;
mod maps;
mod qcow2;
mod show;
pub(crate) mod sparse;
mod table;
mod vhd;
mod walk;

use std::fs::{self, File, Metadata};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::job::Job;
pub use container::{Container, ContainerFault};
pub use disk::{Disk, Volume};
pub use error::{InspectError, InspectFault, Place};
pub use ext4::{DirectoryFault, Ext4Facts};
pub(crate) use ext4::{Ext4Files, Ext4Volume};
pub use fat::FatFacts;
use files::Files;
pub(crate) use files::resolve;
pub use files::{Entry, EntryKind, FilesFault, Unix};
pub use filesystem::{Filesystem, FilesystemFault};
pub use maps::MapFault;
pub use show::{Bytes, Escaped, Listing};
pub use table::{GptCopies, Partition, Table, TableFault, TableKind};
pub use walk::WalkError;
pub(crate) use walk::nar_digest;

/// An image that was looked into.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    bytes: u64,
    allocated_bytes: u64,
    container: Container,
    disk: Disk,
    table: Option<Table>,
    parts: Vec<Part>,
}

/// A partition, or all of a disk without a table.
#[derive(Debug)]
pub struct Part {
    /// What the table says of it; nothing without one.
    pub partition: Option<Partition>,
    /// What it holds, if that is known.
    pub filesystem: Option<Filesystem>,
    volume: Volume,
}

/// The files of a part of an image.
pub struct PartFiles<'a> {
    image: &'a Image,
    part: &'a Part,
    files: Files,
}

/// Files of a directory that are looked at for an image.
const MAX_FILES: usize = 1000;
/// What a build puts beside an image, for Hydra.
const NIX_SUPPORT: &str = "nix-support";

impl Image {
    /// Looks into the image at `path`, or into the one in the directory there. What is
    /// compressed is unpacked to a temporary file.
    pub fn open(path: &Path, job: &Job) -> Result<Self, InspectError> {
        let failed = |path: &Path, fault| InspectError {
            path: path.into(),
            fault,
        };
        let path = find(path).map_err(|fault| failed(path, fault))?;
        Self::of_file(&path, job).map_err(|fault| failed(&path, fault))
    }

    fn of_file(path: &Path, job: &Job) -> Result<Self, InspectFault> {
        let (file, bytes, metadata) = open(path)?;
        let (container, disk) = container::open(file, bytes, job)?;
        let contents = Contents::of(&disk)?.ok_or(InspectFault::Unknown)?;
        let (table, parts) = match contents {
            Contents::Filesystem(Filesystem::Other(filesystem::TAR)) => {
                return Err(InspectFault::Tar);
            }
            Contents::Filesystem(filesystem) => {
                let part = Part {
                    partition: None,
                    filesystem: Some(filesystem),
                    volume: disk.whole(),
                };
                (None, vec![part])
            }
            Contents::Table(table) => {
                let parts = parts(&disk, &table)?;
                (Some(table), parts)
            }
        };
        Ok(Self {
            path: path.into(),
            bytes,
            allocated_bytes: metadata.blocks() * 512,
            container,
            disk,
            table,
            parts,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that the host keeps for the file; fewer, if it has holes.
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        self.allocated_bytes
    }

    /// What it is wrapped in.
    #[must_use]
    pub fn container(&self) -> Container {
        self.container
    }

    /// Bytes of the disk in it.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.disk.size()
    }

    /// Its partition table, if it has one.
    #[must_use]
    pub fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// Its partitions, by their numbers; of a disk without a table, all of it.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The files of the partition of this number, else those among which the store is, else
    /// those of the only filesystem. What leads to them is looked at as a whole, once.
    pub fn files(&self, number: Option<u32>, job: &Job) -> Result<PartFiles<'_>, InspectError> {
        let chosen = self.chosen(number, job);
        let (part, files) = chosen.map_err(|fault| self.error(fault))?;
        Ok(PartFiles {
            image: self,
            part,
            files,
        })
    }

    fn error(&self, fault: InspectFault) -> InspectError {
        InspectError {
            path: self.path.clone(),
            fault,
        }
    }

    fn chosen(&self, number: Option<u32>, job: &Job) -> Result<(&Part, Files), InspectFault> {
        if let Some(number) = number {
            let part = self.numbered(number)?;
            return Ok((part, part.files(job)?));
        }
        let readable: Vec<&Part> = self.parts.iter().filter(|part| part.is_read()).collect();
        match readable[..] {
            [] => {
                return Err(InspectFault::NoFilesystem {
                    there: described(&self.parts),
                });
            }
            [part] => return Ok((part, part.files(job)?)),
            _ => {}
        }
        let mut first_fault = None;
        for part in &readable {
            match part.files(job) {
                Ok(files) if files.hold_store() => return Ok((part, files)),
                Err(fault) if fault.is_stop() => return Err(fault),
                Ok(_) => {}
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        // The store may be where nothing can be read.
        Err(first_fault.unwrap_or_else(|| InspectFault::Choose {
            there: described(readable),
        }))
    }

    fn numbered(&self, number: u32) -> Result<&Part, InspectFault> {
        if self.table.is_none() {
            return Err(InspectFault::NoPartitions { number });
        }
        let is_meant = |part: &&Part| part.place() == Place::Partition(number);
        let found = self.parts.iter().find(is_meant);
        found.ok_or_else(|| InspectFault::NoPartition {
            number,
            there: described(&self.parts),
        })
    }
}

impl Part {
    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Place {
        match &self.partition {
            None => Place::Disk,
            Some(partition) => Place::Partition(partition.number),
        }
    }

    fn is_read(&self) -> bool {
        matches!(
            self.filesystem,
            Some(Filesystem::Ext4(_) | Filesystem::Fat(_))
        )
    }

    fn files(&self, job: &Job) -> Result<Files, InspectFault> {
        let place = self.place();
        let not_read = || InspectFault::NotRead {
            place,
            name: self.filesystem.as_ref().map(Filesystem::name),
        };
        let filesystem = self.filesystem.as_ref().ok_or_else(not_read)?;
        let files = Files::open(filesystem, &self.volume, job);
        files
            .map_err(|source| InspectFault::Filesystem { place, source })?
            .ok_or_else(not_read)
    }
}

impl<'a> PartFiles<'a> {
    /// What is in the directory at `path`, in the order of names; or the one file that is
    /// there. A symlink is a file, unless a slash follows it.
    pub fn list(&self, path: &[u8]) -> Result<Vec<Entry>, InspectError> {
        self.files.list(path).map_err(|fault| self.error(fault))
    }

    /// Writes the content of the file at `path` to `to`; symlinks are followed.
    pub fn copy(&self, path: &[u8], to: &mut dyn Write) -> Result<(), InspectError> {
        self.files.copy(path, to).map_err(|fault| self.error(fault))
    }

    /// Whose they are.
    #[must_use]
    pub fn part(&self) -> &'a Part {
        self.part
    }

    /// They themselves; nothing if the filesystem is another.
    pub(crate) fn ext4(&self) -> Option<&Ext4Files> {
        match &self.files {
            Files::Ext4(files) => Some(files),
            Files::Fat(_) => None,
        }
    }

    fn error(&self, source: FilesFault) -> InspectError {
        let place = self.part.place();
        self.image.error(InspectFault::Files { place, source })
    }
}

/// What all of a disk is.
enum Contents {
    Table(Table),
    Filesystem(Filesystem),
}

impl Contents {
    fn of(disk: &Disk) -> Result<Option<Self>, InspectFault> {
        let whole = disk.whole();
        if let Some(table) = table::gpt(&whole)? {
            return Ok(Some(Self::Table(table)));
        }
        // The boot sector of a FAT filesystem may pass for a master boot record, and code for a
        // BIOS, behind one, for something of a filesystem.
        match Filesystem::of(&whole) {
            Ok(Some(filesystem)) => Ok(Some(Self::Filesystem(filesystem))),
            Ok(None) => Ok(table::mbr(&whole)?.map(Self::Table)),
            Err(source) => match table::mbr(&whole) {
                Ok(Some(table)) => Ok(Some(Self::Table(table))),
                Ok(None) | Err(_) => Err(InspectFault::Filesystem {
                    place: Place::Disk,
                    source,
                }),
            },
        }
    }
}

fn parts(disk: &Disk, table: &Table) -> Result<Vec<Part>, InspectFault> {
    let mut parts = Vec::new();
    for partition in &table.partitions {
        let volume = disk.volume(partition.start, partition.size);
        let volume = volume.ok_or(InspectFault::Unknown)?;
        let filesystem = Filesystem::of(&volume).map_err(|source| InspectFault::Filesystem {
            place: Place::Partition(partition.number),
            source,
        })?;
        parts.push(Part {
            partition: Some(partition.clone()),
            filesystem,
            volume,
        });
    }
    Ok(parts)
}

/// The image that is meant by `path`: itself, or the one in the directory.
fn find(path: &Path) -> Result<PathBuf, InspectFault> {
    let metadata = fs::metadata(path).map_err(io_fault("find"))?;
    if !metadata.is_dir() {
        return Ok(path.into());
    }
    let mut files = Vec::new();
    add_files(path, true, &mut files)?;
    files.sort();
    let mut images: Vec<PathBuf> = files.into_iter().filter(|file| is_image(file)).collect();
    match images.len() {
        0 => Err(InspectFault::NoImage),
        1 => Ok(images.remove(0)),
        _ => {
            let name = |image: &PathBuf| {
                let below = image.strip_prefix(path).unwrap_or(image);
                Escaped(below.as_os_str().as_encoded_bytes()).to_string()
            };
            Err(InspectFault::Images {
                names: images.iter().map(name).collect(),
            })
        }
    }
}

/// Adds the files in `directory`, and, if it is the top, those in its directories.
fn add_files(directory: &Path, is_top: bool, files: &mut Vec<PathBuf>) -> Result<(), InspectFault> {
    for entry in fs::read_dir(directory).map_err(io_fault("list"))? {
        let entry = entry.map_err(io_fault("list"))?;
        // What is no longer there, or a link to nothing, is no image.
        let Ok(metadata) = fs::metadata(entry.path()) else {
            continue;
        };
        if metadata.is_file() {
            files.push(entry.path());
        } else if metadata.is_dir() && is_top && entry.file_name() != NIX_SUPPORT {
            add_files(&entry.path(), false, files)?;
        }
        if files.len() > MAX_FILES {
            return Err(InspectFault::Crowd { limit: MAX_FILES });
        }
    }
    Ok(())
}

/// Whether the file looks like an image, a damaged one too.
fn is_image(path: &Path) -> bool {
    let Ok((file, bytes, _)) = open(path) else {
        return false;
    };
    if container::is_wrapped(&file, bytes) {
        return true;
    }
    match Contents::of(&Disk::plain(file, bytes)) {
        Ok(Some(Contents::Filesystem(Filesystem::Other(filesystem::TAR))) | None) => false,
        Ok(Some(_)) | Err(_) => true,
    }
}

/// The file at `path`, with its length, which a disk of the host does not have in its
/// metadata.
fn open(path: &Path) -> Result<(File, u64, Metadata), InspectFault> {
    let metadata = fs::metadata(path).map_err(io_fault("find"))?;
    if !metadata.is_file() && !metadata.file_type().is_block_device() {
        return Err(InspectFault::NoFile);
    }
    let mut file = File::open(path).map_err(io_fault("open"))?;
    let length = file.seek(SeekFrom::End(0)).map_err(io_fault("read"))?;
    file.rewind().map_err(io_fault("read"))?;
    Ok((file, length, metadata))
}

fn io_fault(action: &'static str) -> impl FnOnce(io::Error) -> InspectFault {
    move |source| InspectFault::Io { action, source }
}

/// Each part with what it holds: `2 "root" (ext4)`.
fn described<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Vec<String> {
    let describe = |part: &Part| {
        let holds = part.filesystem.as_ref().map_or("unknown", Filesystem::name);
        match &part.partition {
            None => format!("the disk ({holds})"),
            Some(Partition { number, name, .. }) if name.is_empty() => {
                format!("{number} ({holds})")
            }
            Some(Partition { number, name, .. }) => format!("{number} {name:?} ({holds})"),
        }
    };
    parts.into_iter().map(describe).collect()
}
