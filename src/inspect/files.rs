//! What stands in a filesystem, for who looks into it: lists, and contents.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use ext4_view::{Ext4Error, FileType, Metadata};
use hadris_fat::sync::FileEntry;

use super::disk::Volume;
use super::ext4::{DirectoryFault, Ext4Files, Ext4Volume, NamedFile};
use super::fat::{FatFiles, FatNode};
use super::filesystem::{Filesystem, FilesystemFault};
use super::show::Escaped;
use crate::job::Job;
use crate::store::STORE_DIRECTORY;

/// A file as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its name in its directory; empty of the root.
    pub name: Vec<u8>,
    /// Bytes; of a symlink those of its target.
    pub size: u64,
    /// Mode and owner; FAT has none.
    pub unix: Option<Unix>,
    /// The target of a symlink, unless the reader cannot read it: it takes one with a name of
    /// more than 255 bytes for damaged.
    pub target: Option<Vec<u8>>,
}

/// The types of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
}

/// Mode and owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unix {
    /// Permission bits.
    pub mode: u16,
    /// User id of the owner.
    pub uid: u32,
    /// Group id of the owner.
    pub gid: u32,
}

/// Why something in a filesystem cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum FilesFault {
    /// It is not there.
    #[error("there is no {path} in it; `ls` shows what is in a directory")]
    NotFound {
        /// What is missing, as it was looked for.
        path: String,
    },
    /// A content is wanted, and it has none.
    #[error("{path} is {kind} and has no content to show")]
    NoContent {
        /// The path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// Symlinks lead to symlinks for too long.
    #[error("{path} leads through more than {} symlinks", MAX_LINKS)]
    Links {
        /// The path that was asked for.
        path: String,
    },
    /// The reader of ext4 stumbled.
    #[error("cannot read {path}")]
    Read {
        /// The path.
        path: String,
        /// The reader's reason.
        source: Ext4Error,
    },
    /// A directory in which no name is looked for.
    #[error("the directory {path} is damaged; `e2fsck -f` mends it")]
    Directory {
        /// The directory.
        path: String,
        /// What is wrong.
        source: DirectoryFault,
    },
    /// Something in a FAT filesystem cannot be read.
    #[error("cannot read {path}")]
    Fat {
        /// The path.
        path: String,
        /// The reason.
        source: FilesystemFault,
    },
    /// A content could not be read to its end.
    #[error("cannot read the content of {path}")]
    Content {
        /// The path.
        path: String,
        /// The reader's reason.
        source: io::Error,
    },
    /// The filesystem cannot be read.
    #[error(transparent)]
    Filesystem(#[from] FilesystemFault),
    /// Nobody takes what is shown.
    #[error("cannot write what was read")]
    Write(#[source] io::Error),
}

/// Symlinks on the way to a file: as many as Linux follows.
const MAX_LINKS: usize = 40;

/// The files of any filesystem that is read.
pub(super) enum Files {
    Ext4(Ext4Files),
    Fat(Box<FatFiles>),
}

impl Files {
    /// Those of `filesystem`, which is in `volume`; nothing if it is not read here.
    pub(super) fn open(
        filesystem: &Filesystem,
        volume: &Volume,
        job: &Job,
    ) -> Result<Option<Self>, FilesystemFault> {
        Ok(match filesystem {
            Filesystem::Ext4(_) => {
                let volume = Ext4Volume::check(volume, job)?;
                Some(Self::Ext4(Ext4Files::open(&volume)?))
            }
            Filesystem::Fat(_) => Some(Self::Fat(Box::new(FatFiles::open(volume)?))),
            Filesystem::Other(_) => None,
        })
    }

    /// Whether the store is among them.
    pub(super) fn hold_store(&self) -> bool {
        let Self::Ext4(files) = self else {
            return false;
        };
        let store = resolve(files, STORE_DIRECTORY.as_bytes(), true);
        let store = store.ok().and_then(|store| files.metadata(&store).ok());
        store.is_some_and(|metadata| metadata.is_dir())
    }

    /// What is in the directory at `path`, in the order of names; or the one file that is
    /// there. A symlink is a file, unless a slash follows it.
    pub(super) fn list(&self, path: &[u8]) -> Result<Vec<Entry>, FilesFault> {
        match self {
            Self::Ext4(files) => list_ext4(files, path),
            Self::Fat(files) => list_fat(files, path),
        }
    }

    /// Writes the content of the file at `path` to `to`; symlinks are followed.
    pub(super) fn copy(&self, path: &[u8], to: &mut dyn Write) -> Result<(), FilesFault> {
        match self {
            Self::Ext4(files) => copy_ext4(files, path, to),
            Self::Fat(files) => copy_fat(files, path, to),
        }
    }
}

fn list_ext4(files: &Ext4Files, path: &[u8]) -> Result<Vec<Entry>, FilesFault> {
    let found = resolve(files, path, path.ends_with(b"/"))?;
    let metadata = files.metadata(&found).map_err(read_error(&found))?;
    if !metadata.is_dir() {
        let name = found.rsplit(|byte| *byte == b'/').next();
        let name = name.unwrap_or_default().to_vec();
        return Ok(vec![entry(files, &found, name, &metadata)?]);
    }
    let listed = files.files(&found).map_err(read_error(&found))?;
    let entry = |file: NamedFile| {
        let path = [&found[..], &file.name].join(&b'/');
        entry(files, &path, file.name, &file.metadata)
    };
    listed.into_iter().map(entry).collect()
}

fn entry(
    files: &Ext4Files,
    path: &[u8],
    name: Vec<u8>,
    metadata: &Metadata,
) -> Result<Entry, FilesFault> {
    let target = match metadata.is_symlink().then(|| files.target(path)) {
        None | Some(Err(Ext4Error::Corrupt(_))) => None,
        Some(target) => Some(target.map_err(read_error(path))?),
    };
    Ok(Entry {
        kind: metadata.file_type().into(),
        name,
        size: metadata.len(),
        unix: Some(Unix {
            mode: metadata.mode(),
            uid: metadata.uid(),
            gid: metadata.gid(),
        }),
        target,
    })
}

fn copy_ext4(files: &Ext4Files, path: &[u8], to: &mut dyn Write) -> Result<(), FilesFault> {
    let found = resolve(files, path, true)?;
    let metadata = files.metadata(&found).map_err(read_error(&found))?;
    let kind = EntryKind::from(metadata.file_type());
    if kind != EntryKind::File {
        return Err(FilesFault::NoContent {
            path: readable(&found),
            kind: kind.name(),
        });
    }
    let mut file = files.open_file(&found).map_err(read_error(&found))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = file
            .read(&mut buffer)
            .map_err(|source| FilesFault::Content {
                path: readable(&found),
                source,
            })?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length]).map_err(FilesFault::Write)?;
    }
}

/// The path without symlinks that `path` leads to, from the root, but for the file itself if
/// it is not to be followed. The root is `/`.
pub(crate) fn resolve(
    files: &Ext4Files,
    path: &[u8],
    follow_last: bool,
) -> Result<Vec<u8>, FilesFault> {
    let mut names: VecDeque<Vec<u8>> = names(path).map(<[u8]>::to_vec).collect();
    let mut at = Vec::new();
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        if name == b".." {
            let parent = at.iter().rposition(|byte| *byte == b'/');
            at.truncate(parent.unwrap_or_default());
            continue;
        }
        let next = [&at[..], &name].join(&b'/');
        let metadata = files.metadata(&next).map_err(read_error(&next))?;
        if !metadata.is_symlink() || (names.is_empty() && !follow_last) {
            at = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(FilesFault::Links {
                path: readable(path),
            });
        }
        let target = files.target(&next).map_err(read_error(&next))?;
        if target.starts_with(b"/") {
            at.clear();
        }
        for name in self::names(&target).collect::<Vec<_>>().into_iter().rev() {
            names.push_front(name.to_vec());
        }
    }
    if at.is_empty() {
        at.push(b'/');
    }
    Ok(at)
}

/// The names in a path, which leads from the root on whether it says so or not.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !name.is_empty() && *name != b".")
}

fn list_fat(files: &FatFiles, path: &[u8]) -> Result<Vec<Entry>, FilesFault> {
    Ok(match fat_node(files, path)? {
        FatNode::Directory(directory) => FatFiles::entries(&directory)
            .map_err(|fault| FilesFault::from(fault).of_fat(path))?
            .iter()
            .map(fat_entry)
            .collect(),
        FatNode::File(file) => vec![fat_entry(&file)],
    })
}

fn fat_entry(file: &FileEntry) -> Entry {
    Entry {
        kind: if file.is_directory() {
            EntryKind::Directory
        } else {
            EntryKind::File
        },
        name: file.name().into_owned().into_bytes(),
        size: file.len(),
        unix: None,
        target: None,
    }
}

fn copy_fat(files: &FatFiles, path: &[u8], to: &mut dyn Write) -> Result<(), FilesFault> {
    match fat_node(files, path)? {
        FatNode::Directory(_) => Err(FilesFault::NoContent {
            path: readable(path),
            kind: EntryKind::Directory.name(),
        }),
        FatNode::File(file) => files
            .read(&file, |bytes| {
                to.write_all(bytes).map_err(FilesFault::Write)
            })
            .map_err(|fault| fault.of_fat(path)),
    }
}

fn fat_node<'a>(files: &'a FatFiles, path: &[u8]) -> Result<FatNode<'a>, FilesFault> {
    let missing = || FilesFault::NotFound {
        path: readable(path),
    };
    let mut below: Vec<&str> = Vec::new();
    for name in names(path) {
        if name == b".." {
            below.pop();
        } else {
            below.push(str::from_utf8(name).map_err(|_| missing())?);
        }
    }
    let node = files.node(&below);
    node.map_err(|fault| FilesFault::from(fault).of_fat(path))?
        .ok_or_else(missing)
}

/// What is wrong with a directory, where that is why it was not read.
fn directory_fault(error: &Ext4Error) -> Option<DirectoryFault> {
    let Ext4Error::Io(reason) = error else {
        return None;
    };
    reason.downcast_ref().cloned()
}

impl FilesFault {
    /// The same, with the path whose reading it is of.
    fn of_fat(self, path: &[u8]) -> Self {
        match self {
            Self::Filesystem(source) => Self::Fat {
                path: readable(path),
                source,
            },
            fault => fault,
        }
    }
}

/// A path for a message.
pub(super) fn readable(path: &[u8]) -> String {
    Escaped(path).to_string()
}

fn read_error(path: &[u8]) -> impl FnOnce(Ext4Error) -> FilesFault {
    move |error| {
        let path = readable(path);
        match error {
            Ext4Error::NotFound | Ext4Error::NotADirectory | Ext4Error::MalformedPath => {
                FilesFault::NotFound { path }
            }
            source => match directory_fault(&source) {
                Some(source) => FilesFault::Directory { path, source },
                None => FilesFault::Read { path, source },
            },
        }
    }
}

impl EntryKind {
    /// What a message calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink => "a symlink",
            Self::CharacterDevice => "a character device",
            Self::BlockDevice => "a block device",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
        }
    }
}

impl From<FileType> for EntryKind {
    fn from(file_type: FileType) -> Self {
        match file_type {
            FileType::Regular => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::CharacterDevice => Self::CharacterDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
        }
    }
}
