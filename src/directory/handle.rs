//! A directory that is open.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::metadata::{mtime, set_metadata};
use super::{DirectoryError, Ownership};
use crate::tree::{Metadata, Name, Timestamp};

/// A directory of the host.
#[derive(Debug)]
pub struct Directory {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

/// What stands at a name.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub(super) stat: Stat,
}

/// The name of what is not complete; a directory has one at most.
pub(super) const TEMPORARY_NAME: &str = ".nix2image.new";

const OPEN_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Directory {
    /// Opens the directory at `path`, where symlinks are followed.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let fd = rustix::fs::openat(CWD, path, OPEN_FLAGS, Mode::empty())
            .map_err(DirectoryError::system("open the directory", path))?;
        Ok(Self {
            file: fd.into(),
            path: path.into(),
        })
    }

    /// Where it is, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it once more. The lock is not held by what this gives.
    pub fn again(&self) -> Result<Self, DirectoryError> {
        let fd = rustix::fs::openat(&self.file, ".", OPEN_FLAGS, Mode::empty())
            .map_err(DirectoryError::system("open the directory", &self.path))?;
        Ok(Self {
            file: fd.into(),
            path: self.path.clone(),
        })
    }

    /// Opens the directory `name`, which must be there.
    pub fn enter_existing(&self, name: &Name) -> Result<Self, DirectoryError> {
        let missing = || DirectoryError::system("open the directory", self.path_of(name));
        self.enter(name)?.ok_or_else(|| missing()(Errno::NOENT))
    }

    /// Opens the directory `name`; nothing if nothing stands there.
    pub fn enter(&self, name: &Name) -> Result<Option<Self>, DirectoryError> {
        let path = self.path_of(name);
        let flags = OPEN_FLAGS | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.file, name.as_bytes(), flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self {
                file: fd.into(),
                path,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno @ (Errno::NOTDIR | Errno::LOOP)) => match self.look(name)? {
                Some(found) if !found.is_directory() => Err(DirectoryError::InTheWay {
                    path,
                    found: found.kind(),
                    wanted: "a directory",
                }),
                _ => Err(DirectoryError::system("open the directory", path)(errno)),
            },
            Err(errno) => Err(DirectoryError::system("open the directory", path)(errno)),
        }
    }

    /// Opens the directory `name`. If there is none, one with `metadata` appears.
    pub fn ensure(
        &self,
        name: &Name,
        metadata: &Metadata,
        ownership: Ownership,
    ) -> Result<Self, DirectoryError> {
        if let Some(directory) = self.enter(name)? {
            return Ok(directory);
        }
        let temporary = temporary_name();
        self.sweep()?;
        self.make(&temporary)?.set_metadata(metadata, ownership)?;
        self.rename(&temporary, name)?;
        self.enter_existing(name)
    }

    /// Checks that nothing but a regular file stands at `name`, if anything does.
    pub fn check_file(&self, name: &Name) -> Result<(), DirectoryError> {
        match self.look(name)? {
            Some(found) if found.file_type() != FileType::RegularFile => {
                Err(DirectoryError::InTheWay {
                    path: self.path_of(name),
                    found: found.kind(),
                    wanted: "a file",
                })
            }
            _ => Ok(()),
        }
    }

    /// Removes what a process left half done that was killed here.
    pub fn sweep(&self) -> Result<(), DirectoryError> {
        self.remove(&temporary_name())
    }

    /// What stands at `name`.
    pub fn look(&self, name: &Name) -> Result<Option<Found>, DirectoryError> {
        match rustix::fs::statat(&self.file, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Found { stat })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(DirectoryError::system("look at", self.path_of(name))(errno)),
        }
    }

    /// The target of the symlink `name`; nothing if it is none.
    pub fn read_link(&self, name: &Name) -> Result<Option<Vec<u8>>, DirectoryError> {
        match rustix::fs::readlinkat(&self.file, name.as_bytes(), Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(DirectoryError::system("read", self.path_of(name))(errno)),
        }
    }

    /// The names in it, in order.
    pub fn names(&self) -> Result<Vec<Name>, DirectoryError> {
        let failed = || DirectoryError::system("list", &self.path);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.file).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            // What is no name is the directory itself and its parent.
            names.extend(Name::new(entry.file_name().to_bytes()).ok());
        }
        names.sort();
        Ok(names)
    }

    /// Lets nobody else hold this lock until the directory is closed.
    pub fn lock(&self) -> Result<(), DirectoryError> {
        let operation = FlockOperation::NonBlockingLockExclusive;
        rustix::fs::flock(&self.file, operation).map_err(|errno| match errno {
            Errno::WOULDBLOCK => DirectoryError::Locked {
                path: self.path.clone(),
            },
            errno => DirectoryError::system("lock", &self.path)(errno),
        })
    }

    /// Whether it is the directory `other`, perhaps by another path.
    pub fn is(&self, other: &Self) -> Result<bool, DirectoryError> {
        Ok(self.identity()? == other.identity()?)
    }

    /// Gives it `metadata`, as far as it has another.
    pub fn set_metadata(
        &self,
        metadata: &Metadata,
        ownership: Ownership,
    ) -> Result<(), DirectoryError> {
        set_metadata(&self.file, b".", &self.path, metadata, ownership)
    }

    /// Gives what stands at `name` `metadata`, as far as it has another. The mode of a
    /// symlink stays.
    pub fn set_metadata_of(
        &self,
        name: &Name,
        metadata: &Metadata,
        ownership: Ownership,
    ) -> Result<(), DirectoryError> {
        let path = self.path_of(name);
        set_metadata(&self.file, name.as_bytes(), &path, metadata, ownership)
    }

    /// Makes and opens an empty directory that is private yet.
    pub(super) fn make(&self, name: &Name) -> Result<Self, DirectoryError> {
        let path = self.path_of(name);
        rustix::fs::mkdirat(&self.file, name.as_bytes(), Mode::RWXU)
            .map_err(DirectoryError::system("make the directory", path))?;
        self.enter_existing(name)
    }

    /// Gives what stands at `from` the name `to`.
    pub(super) fn rename(&self, from: &Name, to: &Name) -> Result<(), DirectoryError> {
        rustix::fs::renameat(&self.file, from.as_bytes(), &self.file, to.as_bytes())
            .map_err(DirectoryError::system("put in place", self.path_of(to)))
    }

    pub(super) fn path_of(&self, name: &Name) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.as_bytes()))
    }

    /// Device and inode.
    pub(super) fn identity(&self) -> Result<(u64, u64), DirectoryError> {
        let stat =
            rustix::fs::fstat(&self.file).map_err(DirectoryError::system("look at", &self.path))?;
        Ok((stat.st_dev, stat.st_ino))
    }
}

impl Found {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.file_type() == FileType::Directory
    }

    /// Its permission bits.
    #[must_use]
    pub fn mode(&self) -> u16 {
        permissions(&self.stat)
    }

    /// The time of its last change of content.
    #[must_use]
    pub fn mtime(&self) -> Timestamp {
        mtime(&self.stat)
    }

    /// What it is, as `"a directory"`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.file_type() {
            FileType::Directory => "a directory",
            FileType::RegularFile => "a file",
            FileType::Symlink => "a symlink",
            FileType::CharacterDevice => "a character device",
            FileType::BlockDevice => "a block device",
            FileType::Fifo => "a FIFO",
            FileType::Socket => "a socket",
            FileType::Unknown => "of a type that is unknown",
        }
    }

    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

pub(super) fn permissions(stat: &Stat) -> u16 {
    u16::try_from(stat.st_mode & 0o7777).expect("12 bits fit 16")
}

pub(super) fn temporary_name() -> Name {
    Name::new(TEMPORARY_NAME).expect("it is a name")
}
