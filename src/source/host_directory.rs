//! Directories of the host, and the way into them, which no symlink may bend.
//!
//! Who can write to a store path while an image is built may put a symlink in the place of a
//! directory. Followed, it would let the image hold any file that the builder can read. So
//! below a base, the directory of the store, nothing is opened through a symlink.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, statat};
use rustix::io::Errno;

/// A directory of the host: a base, and the way from there through directories alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDirectory {
    base: Arc<Path>,
    below: PathBuf,
}

/// Something of the host that is not what it was when it was scanned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} changed while the image was built: it was {expected} when it was scanned and is {found} now; build again when nothing writes to it",
    path.display()
)]
pub struct ChangedError {
    /// Where it is.
    pub path: PathBuf,
    /// What it was, as `"a file"`.
    pub expected: &'static str,
    /// What it is, as `"a symlink"` or `"gone"`.
    pub found: &'static str,
}

/// A base that is open.
#[derive(Debug)]
pub(crate) struct Base {
    path: Arc<Path>,
    open: OwnedFd,
}

/// Why something of the host could not be opened.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// The system refused.
    System {
        /// What was to be opened.
        path: PathBuf,
        /// The system's reason.
        errno: Errno,
    },
    /// Something else is there.
    Changed(ChangedError),
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl HostDirectory {
    /// The directory at `base`, an absolute path. On the way there symlinks are followed: who
    /// could change it is trusted.
    #[must_use]
    pub fn new(base: impl Into<Arc<Path>>) -> Self {
        Self {
            base: base.into(),
            below: PathBuf::new(),
        }
    }

    /// The directory `below` this one, a relative path of names.
    #[must_use]
    pub fn inner(&self, below: impl AsRef<Path>) -> Self {
        Self {
            base: self.base.clone(),
            below: self.below.join(below),
        }
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.way() {
            None => self.base.to_path_buf(),
            Some(below) => self.base.join(below),
        }
    }

    /// Opens its base, from which it can be opened.
    pub(crate) fn open_base(&self) -> Result<Base, Errno> {
        Base::open(self.base.clone())
    }

    /// Whether it is opened from `base`.
    pub(crate) fn is_below(&self, base: &Base) -> bool {
        self.base == base.path
    }

    /// Opens it from `base`, which is its own.
    pub(crate) fn open(&self, base: &Base) -> Result<OwnedFd, Obstacle> {
        let below = self.way().unwrap_or(Path::new("."));
        // Step by step it takes a call for each step, but finds what is in the way.
        at_once::open(base.as_fd(), below).or_else(|_| self.open_step_by_step(base))
    }

    fn open_step_by_step(&self, base: &Base) -> Result<OwnedFd, Obstacle> {
        let mut path = self.base.to_path_buf();
        let mut open = open_at(base.as_fd(), ".".as_ref(), DIRECTORY, &path)?;
        for name in &self.below {
            path.push(name);
            open = open_at(open.as_fd(), name, DIRECTORY, &path)?;
        }
        Ok(open)
    }

    /// The names from the base to it, if there are any.
    fn way(&self) -> Option<&Path> {
        Some(&*self.below).filter(|below| !below.as_os_str().is_empty())
    }
}

impl Base {
    /// Opens the base at `path`.
    pub(crate) fn open(path: Arc<Path>) -> Result<Self, Errno> {
        let open = rustix::fs::openat(CWD, &*path, DIRECTORY, Mode::empty())?;
        Ok(Self { path, open })
    }

    /// As a directory.
    pub(crate) fn directory(&self) -> HostDirectory {
        HostDirectory::new(self.path.clone())
    }
}

impl AsFd for Base {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.open.as_fd()
    }
}

/// Opens the file `name` in `directory`, which is that at `path`. What is no regular file may
/// be opened too, but is not waited for.
pub(super) fn open_file(
    directory: &OwnedFd,
    name: &[u8],
    path: impl Fn() -> PathBuf,
) -> Result<OwnedFd, Obstacle> {
    // A FIFO would wait for a writer, and a terminal become ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let flags = flags | OFlags::NOFOLLOW;
    rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(|errno| {
        obstacle(
            directory.as_fd(),
            name,
            FileType::RegularFile,
            errno,
            path(),
        )
    })
}

fn open_at(
    directory: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
    path: &Path,
) -> Result<OwnedFd, Obstacle> {
    let name = name.as_bytes();
    rustix::fs::openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty())
        .map_err(|errno| obstacle(directory, name, FileType::Directory, errno, path.into()))
}

/// Why `name` in `directory`, which stands at `path` and was of the type `expected`, cannot be
/// opened.
pub(crate) fn obstacle(
    directory: BorrowedFd<'_>,
    name: &[u8],
    expected: FileType,
    errno: Errno,
    path: PathBuf,
) -> Obstacle {
    let found = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
        Err(Errno::NOENT) if errno == Errno::NOENT => None,
        Err(_) => return Obstacle::System { path, errno },
    };
    if found == Some(expected) {
        return Obstacle::System { path, errno };
    }
    Obstacle::Changed(ChangedError {
        path,
        expected: kind(expected),
        found: found.map_or("gone", kind),
    })
}

/// A type in words, as `"a socket"`.
pub(crate) fn kind(file_type: FileType) -> &'static str {
    match file_type {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symlink",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::BlockDevice => "a block device",
        FileType::CharacterDevice => "a character device",
        FileType::Unknown => "of a type that is unknown",
    }
}

/// The whole way in one call.
#[cfg(target_os = "linux")]
mod at_once {
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::path::Path;

    use rustix::fs::{Mode, ResolveFlags, openat2};
    use rustix::io::Errno;

    /// Opens the directory `below` another, through directories alone. Kernels before 5.6 and
    /// some sandboxes do not let it.
    pub(super) fn open(directory: BorrowedFd<'_>, below: &Path) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        openat2(directory, below, super::DIRECTORY, Mode::empty(), resolve)
    }
}

/// One call for the whole way is Linux's own.
#[cfg(not(target_os = "linux"))]
mod at_once {
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::path::Path;

    use rustix::io::Errno;

    pub(super) fn open(_: BorrowedFd<'_>, _: &Path) -> Result<OwnedFd, Errno> {
        Err(Errno::NOSYS)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// `base/a/b`, a directory beside it, and a symlink to that.
    fn sample() -> (tempfile::TempDir, HostDirectory) {
        let temporary = tempfile::tempdir().unwrap();
        fs::create_dir_all(temporary.path().join("base/a/b")).unwrap();
        fs::create_dir_all(temporary.path().join("outside/b")).unwrap();
        symlink("../outside", temporary.path().join("base/link")).unwrap();
        fs::write(temporary.path().join("base/file"), "").unwrap();
        let base = HostDirectory::new(temporary.path().join("base"));
        (temporary, base)
    }

    /// Both ways to open a directory.
    type Open = fn(&HostDirectory, &Base) -> Result<OwnedFd, Obstacle>;
    const WAYS: [Open; 2] = [HostDirectory::open, HostDirectory::open_step_by_step];

    #[test]
    fn a_directory_is_opened_through_directories() {
        let (_temporary, top) = sample();
        let base = top.open_base().unwrap();
        for open in WAYS {
            for directory in [top.clone(), top.inner("a"), top.inner("a").inner("b")] {
                assert!(directory.is_below(&base));
                let open = open(&directory, &base).unwrap();
                let there = statat(CWD, directory.path(), AtFlags::empty()).unwrap();
                assert_eq!(rustix::fs::fstat(&open).unwrap().st_ino, there.st_ino);
            }
        }
    }

    #[test]
    fn no_symlink_is_followed_and_what_is_in_the_way_is_named() {
        let (_temporary, top) = sample();
        let base = top.open_base().unwrap();
        for (below, named, is) in [
            ("link", "link", "a symlink"),
            ("link/b", "link", "a symlink"),
            ("file/b", "file", "a file"),
            ("missing/b", "missing", "gone"),
        ] {
            for open in WAYS {
                let obstacle = open(&top.inner(below), &base).unwrap_err();
                let Obstacle::Changed(changed) = obstacle else {
                    panic!("{obstacle:?}")
                };
                let expected = ChangedError {
                    path: top.path().join(named),
                    expected: "a directory",
                    found: is,
                };
                assert_eq!(changed, expected);
            }
        }
    }

    #[test]
    fn the_way_to_the_base_may_be_a_symlink() {
        let (temporary, _) = sample();
        let top = HostDirectory::new(temporary.path().join("base/link"));
        let base = top.open_base().unwrap();
        for open in WAYS {
            open(&top.inner("b"), &base).unwrap();
        }
    }
}
