//! Containers: what an image is wrapped in.
//!
//! Whoever reads a file that somebody else wrote believes none of its numbers: each is
//! compared with what the format allows, and with the length of the file, before anything is
//! allocated or read by it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::disk::Disk;
use super::format::{QCOW2_MAGIC, VHD_FOOTER_COOKIE};
use super::{qcow2, sparse, vhd};
use crate::job::{Job, Stopped};

/// What an image is wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Nothing.
    Raw,
    /// zstd.
    Zstd,
    /// QEMU's qcow2.
    Qcow2 {
        /// 2 or 3.
        version: u32,
        /// Bytes of a cluster.
        cluster_bytes: u64,
        /// Whether there are clusters that are compressed.
        compressed: bool,
    },
    /// Microsoft's VHD, the disk as it is before a footer.
    VhdFixed {
        /// The UUID in the footer.
        identity: [u8; 16],
    },
    /// Microsoft's VHD, in blocks.
    VhdDynamic {
        /// Bytes of the disk in a block.
        block_bytes: u64,
        /// The UUID in the footer.
        identity: [u8; 16],
    },
}

/// What may be wrong with a container.
#[derive(Debug, thiserror::Error)]
pub enum ContainerFault {
    /// The file refuses.
    #[error("cannot read {length} bytes at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// How many.
        length: usize,
        /// The system's reason.
        source: io::Error,
    },
    /// It is shorter than the smallest disk.
    #[error("it has {bytes} bytes, and an image has 512 at least")]
    Short {
        /// Bytes of the file.
        bytes: u64,
    },
    /// It is wrapped in what we neither write nor read.
    #[error("it is compressed with {with}; unpack it first")]
    Compressed {
        /// A program.
        with: &'static str,
    },
    /// zstd stumbled.
    #[error("it cannot be unpacked with zstd: it is cut off or damaged")]
    Unpack(#[source] io::Error),
    /// There is no room to unpack to.
    #[error("there is no temporary file to unpack it to; TMPDIR says where it would be")]
    Temporary(#[source] io::Error),
    /// What is said of a place is beyond the end.
    #[error(
        "it is cut off: {what} of this {container} image ends at byte {end}, and the file has {length}"
    )]
    CutOff {
        /// The container's name.
        container: &'static str,
        /// What is beyond the end.
        what: &'static str,
        /// Where it ends.
        end: u64,
        /// Bytes of the file.
        length: u64,
    },
    /// A VHD that begins as a dynamic one and does not end as one.
    #[error(
        "it is cut off: a dynamic VHD image ends with a footer as it begins, and this one does not"
    )]
    NoFooter,
    /// A field has a value that it cannot have.
    #[error("it is damaged: {field} of this {container} image is {value}, expected {expected}")]
    Field {
        /// The container's name.
        container: &'static str,
        /// The field, as the format's document calls it.
        field: &'static str,
        /// What was found.
        value: u64,
        /// What is allowed.
        expected: &'static str,
    },
    /// What it compressed is not what it says.
    #[error(
        "it is damaged: the compressed cluster at byte {start} of this {container} image does not unpack to {bytes} bytes"
    )]
    Cluster {
        /// The container's name.
        container: &'static str,
        /// Where the cluster begins in the file.
        start: u64,
        /// Bytes of a cluster.
        bytes: u64,
    },
    /// A structure whose bytes have another sum than it says.
    #[error(
        "it is damaged: {what} of this {container} image is {found}, and its bytes have {expected}"
    )]
    Sum {
        /// The container's name.
        container: &'static str,
        /// The field with the sum.
        what: &'static str,
        /// What it says.
        found: u32,
        /// The sum of the bytes.
        expected: u32,
    },
    /// It uses what is not read here.
    #[error(
        "it is a {container} image with {feature}, which is not read here; `qemu-img convert -O raw` makes one without"
    )]
    Unsupported {
        /// The container's name.
        container: &'static str,
        /// What it has.
        feature: &'static str,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Bytes of a sector in all containers, and of the smallest disk.
pub(super) const SECTOR: u64 = 512;

/// zstd's magic number, of a frame; what may be skipped before it has others, and is not
/// written by anybody who makes images.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// What other programs compress with.
const OTHERS: [(&[u8], &str); 3] = [
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
];

/// The container that `file`, of `length` bytes, is, and the disk in it.
pub(super) fn open(
    file: File,
    length: u64,
    job: &Job,
) -> Result<(Container, Disk), ContainerFault> {
    if length < SECTOR {
        return Err(ContainerFault::Short { bytes: length });
    }
    let mut start = [0; 8];
    read(&file, &mut start, 0)?;
    if start.starts_with(&QCOW2_MAGIC) {
        return qcow2::open(file, length, job);
    }
    if start.starts_with(&ZSTD_MAGIC) {
        return unpacked(&file, job);
    }
    if let Some((_, with)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(ContainerFault::Compressed { with });
    }
    let mut end = [0; 8];
    read(&file, &mut end, length - SECTOR)?;
    if end == VHD_FOOTER_COOKIE || start == VHD_FOOTER_COOKIE {
        return vhd::open(file, length);
    }
    Ok((Container::Raw, Disk::plain(file, length)))
}

/// Whether `file`, of `length` bytes, is in a container that says so.
pub(super) fn is_wrapped(file: &File, length: u64) -> bool {
    let begins_at = |offset: Option<u64>, magics: &[&[u8]]| {
        let mut bytes = [0; 8];
        let offset = offset.filter(|_| length >= SECTOR);
        offset.is_some_and(|offset| read(file, &mut bytes, offset).is_ok())
            && magics.iter().any(|magic| bytes.starts_with(magic))
    };
    begins_at(Some(0), &[&QCOW2_MAGIC, &ZSTD_MAGIC, &VHD_FOOTER_COOKIE])
        || begins_at(length.checked_sub(SECTOR), &[&VHD_FOOTER_COOKIE])
}

/// The disk in a file that is compressed, unpacked to a file without a name.
fn unpacked(file: &File, job: &Job) -> Result<(Container, Disk), ContainerFault> {
    let temporary = tempfile::tempfile().map_err(ContainerFault::Temporary)?;
    let unpacked = sparse::unpack(file, temporary, job).map_err(|error| match job.check() {
        Err(stopped) => stopped.into(),
        Ok(()) => ContainerFault::Unpack(error),
    })?;
    let length = unpacked
        .metadata()
        .map_err(ContainerFault::Temporary)?
        .len();
    if length < SECTOR {
        return Err(ContainerFault::Short { bytes: length });
    }
    Ok((Container::Zstd, Disk::plain(unpacked, length)))
}

/// Fills `bytes` from `offset` of `file` on.
pub(super) fn read(file: &File, bytes: &mut [u8], offset: u64) -> Result<(), ContainerFault> {
    file.read_exact_at(bytes, offset)
        .map_err(|source| ContainerFault::Read {
            offset,
            length: bytes.len(),
            source,
        })
}

/// Refuses `what` of a `container` image, `bytes` long from `offset` on, if a file of
/// `length` bytes ends before.
pub(super) fn check_end(
    container: &'static str,
    what: &'static str,
    offset: u64,
    bytes: u64,
    length: u64,
) -> Result<(), ContainerFault> {
    let end = offset.saturating_add(bytes);
    if end <= length {
        return Ok(());
    }
    Err(ContainerFault::CutOff {
        container,
        what,
        end,
        length,
    })
}

/// Refuses the `value` of a `field` unless it `is_allowed`.
pub(super) fn check_field(
    container: &'static str,
    field: &'static str,
    value: impl Into<u64>,
    is_allowed: bool,
    expected: &'static str,
) -> Result<(), ContainerFault> {
    if is_allowed {
        return Ok(());
    }
    Err(ContainerFault::Field {
        container,
        field,
        value: value.into(),
        expected,
    })
}
