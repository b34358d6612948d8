//! Containers: what an image is wrapped in when it is written.
//!
//! Most of them add tables to an image and move its bytes, so that an image in a container
//! is pieces again ([`qcow2`], [`vhd`]), and is written as every image
//! is. Where bytes are compressed, the place of each hangs on those before it: then the
//! image is written in order.

use std::fs::File;

use super::qcow2::{self, CompressedQcow2};
use super::vhd::{self, VhdForm};
use super::zstd::write_zstd_watched;
use super::{Pieces, WriteError, write_watched};
use crate::job::Job;
use crate::source::Watch;

/// What an image is wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Nothing; holes are holes.
    Raw,
    /// A Zstandard frame, with its level.
    Zstd {
        /// 1 to 19.
        level: i32,
    },
    /// QEMU's qcow2, version 3; holes are not allocated.
    Qcow2 {
        /// Whether clusters are compressed, with deflate.
        compressed: bool,
    },
    /// Microsoft's VHD, `vpc` for QEMU.
    Vhd {
        /// How it holds the disk.
        form: VhdForm,
    },
}

/// What tells one image from another, in containers that have a UUID for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(pub [u8; 16]);

/// Why a container cannot hold an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// An image that ends within a sector.
    #[error(
        "a {container} image holds whole sectors of {sector} bytes, and this one has {size} bytes, {} too many; choose a size that is a multiple of {sector}, or container = \"raw\"",
        size % sector
    )]
    Sectors {
        /// Its name.
        container: &'static str,
        /// Bytes of the image.
        size: u64,
        /// Bytes of a sector.
        sector: u64,
    },
    /// An image of more than the container's numbers can count.
    #[error(
        "a {container} image holds at most {limit} bytes, and this one has {size}; choose a smaller size, or container = \"raw\""
    )]
    TooLarge {
        /// Its name.
        container: &'static str,
        /// Bytes of the image.
        size: u64,
        /// Bytes of the largest that it can hold.
        limit: u64,
    },
}

/// An image in its container, to be written.
#[derive(Debug)]
pub struct Contained(Form);

#[derive(Debug)]
enum Form {
    Anywhere(Pieces),
    Zstd { pieces: Pieces, level: i32 },
    Qcow2(CompressedQcow2),
}

impl Contained {
    /// The image that `pieces` are, in `container`. Nothing is written yet.
    pub fn new(
        pieces: Pieces,
        container: Container,
        identity: Identity,
    ) -> Result<Self, ContainerError> {
        Ok(Self(match container {
            Container::Raw => Form::Anywhere(pieces),
            Container::Zstd { level } => Form::Zstd { pieces, level },
            Container::Qcow2 { compressed: false } => Form::Anywhere(qcow2::qcow2(pieces)?),
            Container::Qcow2 { compressed: true } => Form::Qcow2(CompressedQcow2::new(pieces)?),
            Container::Vhd { form } => Form::Anywhere(vhd::vhd(pieces, form, identity)?),
        }))
    }

    /// Bytes by which a [`Job`] advances while it is written, but for some tables.
    #[must_use]
    pub fn work(&self) -> u64 {
        match &self.0 {
            Form::Anywhere(pieces) => pieces.covered(),
            Form::Zstd { pieces, .. } => pieces.size(),
            Form::Qcow2(image) => image.work(),
        }
    }

    /// Bytes that it takes on the host; before they are compressed, if they are.
    #[must_use]
    pub fn bytes_on_host(&self) -> u64 {
        match &self.0 {
            Form::Anywhere(pieces) | Form::Zstd { pieces, .. } => pieces.covered(),
            Form::Qcow2(image) => image.covered(),
        }
    }

    /// Whether its bytes are compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        !matches!(self.0, Form::Anywhere(_))
    }

    /// Writes it into `file`, which is new and empty, on all threads of the current rayon
    /// pool, and shows what is marked to `watch`. The bytes are the same at any number of
    /// threads. `finish` gives what is late, or says why there shall be no image.
    ///
    /// # Panics
    ///
    /// If it is compressed and something late stands before something marked.
    pub fn write_watched<E: From<WriteError>>(
        &self,
        file: &File,
        watch: &dyn Watch,
        finish: impl FnOnce() -> Result<(), E>,
        job: &Job,
    ) -> Result<(), E> {
        match &self.0 {
            Form::Anywhere(pieces) => write_watched(pieces, file, watch, finish, job),
            Form::Zstd { pieces, level } => {
                write_zstd_watched(pieces, file, *level, watch, finish, job)
            }
            Form::Qcow2(image) => image.write_watched(file, watch, finish, job),
        }
    }
}

/// Bytes of a sector in all containers.
pub(super) const SECTOR: u64 = 512;

/// Refuses an image of `size` bytes that `container`, of at most `limit` bytes, cannot hold.
pub(super) fn check_size(
    container: &'static str,
    size: u64,
    limit: u64,
) -> Result<(), ContainerError> {
    if size > limit {
        return Err(ContainerError::TooLarge {
            container,
            size,
            limit,
        });
    }
    if !size.is_multiple_of(SECTOR) {
        return Err(ContainerError::Sectors {
            container,
            size,
            sector: SECTOR,
        });
    }
    Ok(())
}
