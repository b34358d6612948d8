//! The NAR of a path in an image.

use std::io::{self, Write};

use ext4_view::{Ext4Error, FileType};

use super::ext4::Ext4Files;
use super::files::readable;
use crate::job::{Job, Stopped};
use crate::store::NarDigest;
use crate::store::nar::{self, HashingWriter, NarError};

/// Why a path in an image has no NAR.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The reader stumbled.
    #[error("{path} cannot be read in the image")]
    Read {
        /// Path in the image.
        path: String,
        /// The reader's reason.
        source: Ext4Error,
    },
    /// It makes no NAR.
    #[error("{path} cannot be hashed in the image")]
    Hash {
        /// Path in the image.
        path: String,
        /// The reason.
        source: NarError,
    },
    /// It is no file, directory or symlink.
    #[error("{path} is a special file in the image")]
    Special {
        /// Path in the image.
        path: String,
    },
    /// There are more directories than inodes.
    #[error(
        "{path} leads into itself in the image: more than {inodes} directories, as many as there are inodes, are below it"
    )]
    Endless {
        /// Path in the image.
        path: String,
        /// Inodes of the filesystem.
        inodes: u64,
    },
    /// The files are larger than the filesystem, and than they should be.
    #[error("{path} is too large in the image: the files up to it have more than {most} bytes")]
    Large {
        /// Path in the image.
        path: String,
        /// Bytes of the filesystem, or of the NAR that there should be.
        most: u64,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The NAR of what stands at `path`, no symlink on the way. Files of which there are more
/// than the filesystem holds, holes and all, are hashed if `expected` has as many bytes.
pub(crate) fn nar_digest(
    files: &Ext4Files,
    path: &[u8],
    expected: Option<NarDigest>,
    job: &Job,
) -> Result<NarDigest, WalkError> {
    let most = expected.map_or(0, |nar| nar.size).max(files.bytes());
    let mut walk = Walk {
        files,
        job,
        nar: nar::Writer::new(Advancing {
            to: HashingWriter::default(),
            job,
        })
        .map_err(hash_error(path))?,
        directories: 0,
        bytes: 0,
        most,
    };
    let top = files.metadata(path).map_err(read_error(path))?;
    walk.node(path, top.file_type())?;
    let (hash, size) = walk.nar.finish().to.finish();
    Ok(NarDigest { hash, size })
}

/// A walk through a path of the image, which writes its NAR.
struct Walk<'a> {
    files: &'a Ext4Files,
    job: &'a Job,
    nar: nar::Writer<Advancing<'a>>,
    /// Directories so far.
    directories: u64,
    /// Bytes of files so far.
    bytes: u64,
    /// Bytes of files that there may be.
    most: u64,
}

/// Advances a job with all that is hashed.
struct Advancing<'a> {
    to: HashingWriter,
    job: &'a Job,
}

impl Write for Advancing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.job.advance(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Walk<'_> {
    fn node(&mut self, path: &[u8], file_type: FileType) -> Result<(), WalkError> {
        self.job.check()?;
        match file_type {
            FileType::Directory => self.directory(path),
            FileType::Regular => self.file(path),
            FileType::Symlink => {
                let target = self.files.target(path).map_err(read_error(path))?;
                self.nar.symlink(&target).map_err(hash_error(path))
            }
            _ => Err(WalkError::Special {
                path: readable(path),
            }),
        }
    }

    fn file(&mut self, path: &[u8]) -> Result<(), WalkError> {
        let file = self.files.open_file(path).map_err(read_error(path))?;
        let executable = file.metadata().mode() & 0o100 != 0;
        let length = file.metadata().len();
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > self.most {
            return Err(WalkError::Large {
                path: readable(path),
                most: self.most,
            });
        }
        self.nar
            .file(executable, length, file)
            .map_err(hash_error(path))
    }

    fn directory(&mut self, path: &[u8]) -> Result<(), WalkError> {
        self.directories += 1;
        if self.directories > self.files.inodes() {
            return Err(WalkError::Endless {
                path: readable(path),
                inodes: self.files.inodes(),
            });
        }
        self.nar.begin_directory().map_err(hash_error(path))?;
        for file in self.files.files(path).map_err(read_error(path))? {
            self.nar.entry(&file.name).map_err(hash_error(path))?;
            let path = [path, &file.name].join(&b'/');
            self.node(&path, file.metadata.file_type())?;
        }
        self.nar.end_directory().map_err(hash_error(path))
    }
}

fn read_error(path: &[u8]) -> impl FnOnce(Ext4Error) -> WalkError {
    move |source| WalkError::Read {
        path: readable(path),
        source,
    }
}

fn hash_error(path: &[u8]) -> impl FnOnce(NarError) -> WalkError {
    move |source| WalkError::Hash {
        path: readable(path),
        source,
    }
}
