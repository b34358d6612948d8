//! Owner, mode, time and extended attributes of what stands in a directory.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, Uid};

use super::DirectoryError;
use super::handle::permissions;
use crate::tree::{Metadata, Timestamp, Xattrs};

/// Whether files get their owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// They do, which only root can.
    Set,
    /// They belong to whoever makes them.
    Keep,
}

impl Ownership {
    /// What this process can do.
    #[must_use]
    pub fn of_this_process() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Set
        } else {
            Self::Keep
        }
    }
}

/// Gives what stands at `name` in `directory` `metadata`, as far as it has another. A
/// symlink is not followed, and has no mode. `path` is for messages.
pub(super) fn set_metadata(
    directory: &File,
    name: &[u8],
    path: &Path,
    metadata: &Metadata,
    ownership: Ownership,
) -> Result<(), DirectoryError> {
    let at = At {
        directory,
        name,
        path,
    };
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(DirectoryError::system("look at", path))?;
    let owner = (metadata.uid, metadata.gid);
    let is_given = ownership == Ownership::Set && (stat.st_uid, stat.st_gid) != owner;
    if is_given {
        at.set_owner(owner)?;
    }
    at.set_xattrs(metadata.xattrs.as_deref())?;
    if mtime(&stat) != metadata.mtime {
        at.set_time(metadata.mtime)?;
    }
    // Last: a new owner takes set-uid bits away, and a mode may deny all that is above.
    let is_symlink = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    if !is_symlink && (is_given || permissions(&stat) != metadata.mode) {
        at.set_mode(metadata.mode)?;
    }
    Ok(())
}

/// A name in a directory.
struct At<'a> {
    directory: &'a File,
    name: &'a [u8],
    path: &'a Path,
}

impl At<'_> {
    fn set_owner(&self, (uid, gid): (u32, u32)) -> Result<(), DirectoryError> {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(
            self.directory,
            self.name,
            uid,
            gid,
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(DirectoryError::system("set the owner of", self.path))
    }

    fn set_xattrs(&self, xattrs: Option<&Xattrs>) -> Result<(), DirectoryError> {
        for (name, value) in xattrs.into_iter().flatten() {
            xattr::set(self.through_proc(), OsStr::from_bytes(name), value).map_err(|source| {
                DirectoryError::System {
                    action: "set an extended attribute of",
                    path: self.path.into(),
                    source,
                }
            })?;
        }
        Ok(())
    }

    fn set_time(&self, time: Timestamp) -> Result<(), DirectoryError> {
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: time.seconds,
                tv_nsec: time.nanoseconds.into(),
            },
        };
        rustix::fs::utimensat(self.directory, self.name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(DirectoryError::system("set the time of", self.path))
    }

    fn set_mode(&self, mode: u16) -> Result<(), DirectoryError> {
        let bits = Mode::from_raw_mode(mode.into());
        rustix::fs::chmodat(self.directory, self.name, bits, AtFlags::empty()).map_err(|errno| {
            if mode & 0o6000 == 0 {
                return DirectoryError::system("set the mode of", self.path)(errno);
            }
            DirectoryError::Mode {
                mode,
                path: self.path.into(),
                source: errno.into(),
            }
        })
    }

    /// The same place as a path whose last part alone is a name in the target: there is no
    /// system call for extended attributes in an open directory.
    fn through_proc(&self) -> PathBuf {
        Path::new("/proc/self/fd")
            .join(self.directory.as_raw_fd().to_string())
            .join(OsStr::from_bytes(self.name))
    }
}

/// The time of the last change of content.
pub(super) fn mtime(stat: &Stat) -> Timestamp {
    Timestamp {
        seconds: stat.st_mtime,
        nanoseconds: u32::try_from(stat.st_mtime_nsec).expect("it is below 1,000,000,000"),
    }
}
