//! Reading the files of a closure, with as few system calls as that takes.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::host_directory::{Base, Obstacle, kind, open_file};
use super::{ChangedError, HostDirectory, HostFile, Origin, ReadError, Source, read_error};

/// Reads sources, for one thread. It keeps the directories of the last files open: to open
/// a neighbour by its name costs less than by a whole path.
#[derive(Debug, Default)]
pub struct Reader {
    /// The base of the last directory.
    base: Option<Base>,
    /// The last one used is the last.
    directories: Vec<(Arc<HostDirectory>, OwnedFd)>,
}

/// Directories that are kept open: of a file, and of those around it in its tree.
const OPEN_DIRECTORIES: usize = 4;

impl Reader {
    /// Reads the bytes of `source` from `start` on, as many as `bytes` takes. A host file
    /// of which they are the last must end with them.
    ///
    /// # Panics
    ///
    /// If the source ends before, or is late and not there yet.
    pub fn read_at(
        &mut self,
        source: &Source,
        start: u64,
        bytes: &mut [u8],
    ) -> Result<(), ReadError> {
        let in_memory = |all: &[u8], bytes: &mut [u8]| {
            let start = usize::try_from(start).expect("the bytes are in memory");
            bytes.copy_from_slice(&all[start..][..bytes.len()]);
        };
        match &source.origin {
            Origin::Bytes(all) => in_memory(all, bytes),
            Origin::Late(late) => in_memory(late.bytes(), bytes),
            Origin::HostFile(file) => self.read_host_file(file, source.length, start, bytes)?,
            Origin::Range { container, offset } => {
                container.read_at(self, offset + start, bytes)?;
            }
        }
        Ok(())
    }

    /// Opens a file of the host, if it can be reached through directories and is no symlink.
    pub(crate) fn open(&mut self, file: &HostFile) -> Result<File, ReadError> {
        match self.try_open(file) {
            Err(Obstacle::System {
                errno: Errno::MFILE,
                ..
            }) => {
                // What is kept open may be all that there is too much.
                self.directories.clear();
                Ok(self.try_open(file)?)
            }
            opened => Ok(opened?),
        }
    }

    fn try_open(&mut self, file: &HostFile) -> Result<File, Obstacle> {
        let directory = self.directory_of(file)?;
        open_file(directory, file.name.as_bytes(), || file.path()).map(File::from)
    }

    /// The directory of a file, open.
    fn directory_of(&mut self, file: &HostFile) -> Result<&OwnedFd, Obstacle> {
        let wanted = &file.directory;
        let place = self
            .directories
            .iter()
            .position(|(directory, _)| Arc::ptr_eq(directory, wanted));
        if let Some(place) = place {
            // Most are of the directory of the file before.
            self.directories[place..].rotate_left(1);
        } else {
            let base = match self.base.take().filter(|base| wanted.is_below(base)) {
                Some(base) => base,
                None => wanted.open_base().map_err(|errno| Obstacle::System {
                    path: file.path(),
                    errno,
                })?,
            };
            let open = wanted.open(self.base.insert(base))?;
            if self.directories.len() == OPEN_DIRECTORIES {
                self.directories.remove(0);
            }
            self.directories.push((wanted.clone(), open));
        }
        let (_, directory) = self.directories.last().expect("it was put there above");
        Ok(directory)
    }

    /// Opens a file of the host, which must have `size` bytes.
    pub(crate) fn open_of_size(&mut self, file: &HostFile, size: u64) -> Result<File, ReadError> {
        let open = self.open(file)?;
        match open.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.len() == size => Ok(open),
            _ => Err(changed(file, &open, size, None)),
        }
    }

    /// Reads from a file that must have the size that the scan saw: what ends with it asks
    /// for a byte more.
    fn read_host_file(
        &mut self,
        file: &HostFile,
        size: u64,
        start: u64,
        bytes: &mut [u8],
    ) -> Result<(), ReadError> {
        let open = self.open(file)?;
        let mut beyond = [0; 1];
        let asked_beyond = usize::from(start + bytes.len() as u64 == size);
        let mut read = 0;
        while read < bytes.len() {
            let mut buffers =
                [&mut bytes[read..], &mut beyond[..asked_beyond]].map(IoSliceMut::new);
            match rustix::io::preadv(&open, &mut buffers, start + read as u64) {
                Ok(0) => return Err(changed(file, &open, size, None)),
                Ok(more) => read += more,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(changed(file, &open, size, Some(errno))),
            }
        }
        if read > bytes.len() {
            return Err(changed(file, &open, size, None));
        }
        Ok(())
    }
}

/// Why a file that was opened, and had `expected` bytes when it was scanned, cannot be read:
/// the system's reason, unless it is another file.
fn changed(file: &HostFile, open: &File, expected: u64, errno: Option<Errno>) -> ReadError {
    let path = file.path();
    let stat = match rustix::fs::fstat(open) {
        Err(errno) => return read_error(&path, errno.into()),
        Ok(stat) => stat,
    };
    match (FileType::from_raw_mode(stat.st_mode), errno) {
        (FileType::RegularFile, Some(errno)) => read_error(&path, errno.into()),
        (FileType::RegularFile, None) => ReadError::SizeChanged {
            path,
            expected,
            found: u64::try_from(stat.st_size).expect("no file has a negative size"),
        },
        (other, _) => ReadError::Changed(ChangedError {
            path,
            expected: kind(FileType::RegularFile),
            found: kind(other),
        }),
    }
}
