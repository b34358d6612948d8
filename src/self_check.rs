//! The self check: every store path in the written image, read again by an independent
//! reader (the `ext4-view` crate), still has the NAR hash that Nix knows.

mod reader;
mod sparse;

use std::fs::File;
use std::io::{self, Write};

use ext4_view::{Ext4, Ext4Error, FileType, Path};
use rayon::prelude::*;

use crate::image::{Container, PendingOutput};
use crate::job::{Job, Stopped};
use crate::store::nar::{self, HashingWriter, NarError};
use crate::store::{NarHash, StorePath, ValidPath};
use reader::ImageReader;

/// Why an image is not right, or could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum SelfCheckError {
    /// A store path came out as another.
    #[error(
        "{path} is not in the image as Nix knows it: it should have the NAR hash {expected} and {expected_size} bytes, and has {found} and {found_size}; if `nix-store --verify-path {path}` finds it good, this is a bug of nix2image"
    )]
    Mismatch {
        /// The store path.
        path: StorePath,
        /// The hash of its NAR, as Nix knows it.
        expected: NarHash,
        /// Bytes of that NAR.
        expected_size: u64,
        /// The hash of what is in the image.
        found: NarHash,
        /// Bytes of that.
        found_size: u64,
    },
    /// The reader found no filesystem.
    #[error("the filesystem that was written cannot be read")]
    Filesystem(#[source] Ext4Error),
    /// The reader stumbled over something in a store path.
    #[error("{path} cannot be read in the image that was written")]
    Read {
        /// Path in the image.
        path: String,
        /// The reader's reason.
        source: Ext4Error,
    },
    /// Something in a store path makes no NAR.
    #[error("{path} cannot be hashed in the image that was written")]
    Hash {
        /// Path in the image.
        path: String,
        /// The reason.
        source: NarError,
    },
    /// Something in a store path is no file, directory or symlink.
    #[error("{path} is a special file in the image that was written")]
    Special {
        /// Path in the image.
        path: String,
    },
    /// The image's file could not be opened once more.
    #[error("cannot open the written image to check it")]
    Open(#[source] io::Error),
    /// The image could not be unpacked.
    #[error("cannot decompress the written image to check it")]
    Decompress(#[source] io::Error),
    /// Somebody asked to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Where in an image the store is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Byte of the image at which the filesystem begins.
    pub start: u64,
    /// The store's directory in the filesystem.
    pub store: &'static str,
}

/// Compares what is at `place` of the written image with `paths`. `container` is [`Raw`](Container::Raw) or [`Zstd`](Container::Zstd).
pub fn check(
    paths: &[ValidPath],
    output: &PendingOutput,
    container: Container,
    place: Place,
    job: &Job,
) -> Result<(), SelfCheckError> {
    let image = match container {
        Container::Zstd { .. } => {
            sparse::decompress(output, job).map_err(|error| match job.check() {
                Err(stopped) => stopped.into(),
                Ok(()) => SelfCheckError::Decompress(error),
            })?
        }
        Container::Raw | Container::Qcow2 { .. } | Container::Vhd { .. } => {
            output.file().try_clone().map_err(SelfCheckError::Open)?
        }
    };
    check_image(paths, image, place, job)
}

/// Compares what is at `place` of `image` with `paths`, on all threads.
fn check_image(
    paths: &[ValidPath],
    image: File,
    place: Place,
    job: &Job,
) -> Result<(), SelfCheckError> {
    let reader = ImageReader::new(image, place.start);
    // The reader stays on its thread, so each has its own.
    paths.par_iter().try_for_each_init(
        || None,
        |filesystem, valid| {
            let filesystem = match filesystem {
                Some(filesystem) => filesystem,
                None => filesystem.insert(
                    Ext4::load(Box::new(reader.clone())).map_err(SelfCheckError::Filesystem)?,
                ),
            };
            check_path(filesystem, place.store, valid, job)
        },
    )
}

fn check_path(
    filesystem: &Ext4,
    store: &str,
    valid: &ValidPath,
    job: &Job,
) -> Result<(), SelfCheckError> {
    let path = std::path::Path::new(store).join(valid.path.base_name());
    let path = Path::try_from(path.as_path())
        .expect("a store path has neither NUL bytes nor names of more than 255");
    let mut walk = Walk {
        filesystem,
        job,
        nar: nar::Writer::new(Advancing {
            to: HashingWriter::default(),
            job,
        })
        .map_err(hash_error(path))?,
    };
    let top = filesystem
        .symlink_metadata(path)
        .map_err(read_error(path))?;
    walk.node(path, top.file_type())?;
    let (found, found_size) = walk.nar.finish().to.finish();
    if (found, found_size) != (valid.nar_hash, valid.nar_size) {
        return Err(SelfCheckError::Mismatch {
            path: valid.path.clone(),
            expected: valid.nar_hash,
            expected_size: valid.nar_size,
            found,
            found_size,
        });
    }
    Ok(())
}

/// A walk through a store path of the image, which writes its NAR.
struct Walk<'a> {
    filesystem: &'a Ext4,
    job: &'a Job,
    nar: nar::Writer<Advancing<'a>>,
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
    fn node(&mut self, path: Path<'_>, file_type: FileType) -> Result<(), SelfCheckError> {
        self.job.check()?;
        match file_type {
            FileType::Directory => self.directory(path),
            FileType::Regular => {
                let file = self.filesystem.open(path).map_err(read_error(path))?;
                let executable = file.metadata().mode() & 0o100 != 0;
                let length = file.metadata().len();
                self.nar
                    .file(executable, length, file)
                    .map_err(hash_error(path))
            }
            FileType::Symlink => {
                let target = self.filesystem.read_link(path).map_err(read_error(path))?;
                self.nar.symlink(target.as_ref()).map_err(hash_error(path))
            }
            _ => Err(SelfCheckError::Special {
                path: readable(path),
            }),
        }
    }

    fn directory(&mut self, path: Path<'_>) -> Result<(), SelfCheckError> {
        self.nar.begin_directory().map_err(hash_error(path))?;
        for (name, file_type) in self.entries(path)? {
            self.nar.entry(&name).map_err(hash_error(path))?;
            self.node(path.join(&name).as_path(), file_type)?;
        }
        self.nar.end_directory().map_err(hash_error(path))
    }

    /// Names and types of what is in a directory, in the order of a NAR.
    fn entries(&self, path: Path<'_>) -> Result<Vec<(Vec<u8>, FileType)>, SelfCheckError> {
        let mut entries = Vec::new();
        for entry in self.filesystem.read_dir(path).map_err(read_error(path))? {
            let entry = entry.map_err(read_error(path))?;
            let name = entry.file_name().as_ref().to_vec();
            if name != b"." && name != b".." {
                entries.push((name, entry.file_type().map_err(read_error(path))?));
            }
        }
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries)
    }
}

fn readable(path: Path<'_>) -> String {
    path.display().to_string()
}

fn read_error(path: Path<'_>) -> impl FnOnce(Ext4Error) -> SelfCheckError {
    move |source| SelfCheckError::Read {
        path: readable(path),
        source,
    }
}

fn hash_error(path: Path<'_>) -> impl FnOnce(NarError) -> SelfCheckError {
    move |source| SelfCheckError::Hash {
        path: readable(path),
        source,
    }
}

#[cfg(test)]
mod tests;
