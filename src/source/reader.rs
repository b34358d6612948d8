//! Reading the files of a closure, with as few system calls as that takes.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::{HostFile, Origin, ReadError, Source, read_error};

/// Reads sources, for one thread. It keeps the directories of the last files open: to open
/// a neighbour by its name costs less than by a whole path.
#[derive(Debug, Default)]
pub struct Reader {
    /// The last one used is the last.
    directories: Vec<(Arc<PathBuf>, OwnedFd)>,
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
            Origin::Range { container, offset } => container
                .with_file(|file| file.read_exact_at(bytes, offset + start))
                .map_err(|error| read_error(container.path(), error))?,
        }
        Ok(())
    }

    /// Opens a file of the host.
    pub(crate) fn open(&mut self, file: &HostFile) -> Result<File, ReadError> {
        let place = self
            .directories
            .iter()
            .position(|(directory, _)| Arc::ptr_eq(directory, &file.directory));
        if let Some(place) = place {
            // Most are of the directory of the file before.
            self.directories[place..].rotate_left(1);
        } else {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let open = rustix::fs::openat(CWD, &*file.directory, flags, Mode::empty())
                .map_err(|errno| read_error(&file.path(), errno.into()))?;
            if self.directories.len() == OPEN_DIRECTORIES {
                self.directories.remove(0);
            }
            self.directories.push((file.directory.clone(), open));
        }
        let (_, directory) = self.directories.last().expect("it was put there above");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(directory, file.name.as_bytes(), flags, Mode::empty())
            .map(File::from)
            .map_err(|errno| read_error(&file.path(), errno.into()))
    }

    /// Opens a file of the host, which must have `size` bytes.
    pub(crate) fn open_of_size(&mut self, file: &HostFile, size: u64) -> Result<File, ReadError> {
        let open = self.open(file)?;
        match open.metadata() {
            Ok(metadata) if metadata.len() == size => Ok(open),
            _ => Err(size_changed(file, &open, size)),
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
                Ok(0) => return Err(size_changed(file, &open, size)),
                Ok(more) => read += more,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(read_error(&file.path(), errno.into())),
            }
        }
        if read > bytes.len() {
            return Err(size_changed(file, &open, size));
        }
        Ok(())
    }
}

/// Why a file of another size than it had cannot be read.
fn size_changed(file: &HostFile, open: &File, expected: u64) -> ReadError {
    let path = file.path();
    match open.metadata() {
        Err(error) => read_error(&path, error),
        Ok(metadata) => ReadError::SizeChanged {
            path,
            expected,
            found: metadata.len(),
        },
    }
}
