//! Sharing: where the host's filesystem can, an image refers to the blocks of the files that
//! it is made of, and neither is read nor written.
//!
//! XFS and btrfs share whole blocks between files of one filesystem. `FICLONE` tells whether
//! they do; then `copy_file_range(2)` shares, in any kernel since 5.3, through the bind mounts
//! of a sandbox too, and copies where it cannot.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

use super::batch::Batch;
use super::{Content, Piece, Pieces};
use crate::source::{HostFile, Origin, ReadError, Reader};

/// Bytes of a block of all filesystems that share, as far as we know.
const BLOCK: u64 = 4096;

/// Fewer bytes are copied: they cost less than a change of the host's metadata.
const LEAST: u64 = 128 << 10;

/// The bytes of `piece`, from byte `at` of the image on, that are whole blocks of a host
/// file; 0 if they are not worth sharing.
pub(super) fn shareable_bytes(piece: &Piece, at: u64) -> u64 {
    let Content::Source { source, skip } = &piece.content else {
        return 0;
    };
    let start = skip + (at - piece.offset);
    let left = (piece.offset + piece.length - at).min(source.length.saturating_sub(start));
    let whole = left - left % BLOCK;
    let is_file = matches!(source.origin, Origin::HostFile(_));
    if is_file && whole >= LEAST && at.is_multiple_of(BLOCK) && start.is_multiple_of(BLOCK) {
        whole
    } else {
        0
    }
}

/// Whether `image`, a file that is empty and stays so, can share blocks with what it shall
/// hold. An error is the image's: it may not be empty any more.
pub(super) fn can_share(pieces: &Pieces, image: &File) -> io::Result<bool> {
    let largest = pieces
        .as_slice()
        .iter()
        .filter(|piece| shareable_bytes(piece, piece.offset) > 0)
        .max_by_key(|piece| piece.length);
    let Some(file) = largest.and_then(host_file) else {
        return Ok(false);
    };
    // An error shows again when the file is copied.
    let Ok(source) = Reader::default().open(file) else {
        return Ok(false);
    };
    let can = is_to_be_tried(clone::whole(&source, image), &source, image);
    if can {
        image.set_len(0)?;
    }
    Ok(can)
}

/// Whether `image` and `source` may share blocks, where `whole` came of the trial.
fn is_to_be_tried(whole: Result<bool, clone::OtherMount>, source: &File, image: &File) -> bool {
    whole.unwrap_or_else(|clone::OtherMount| {
        // Before Linux 5.18 another mount is refused, whatever filesystem it shows.
        let device = |file: &File| file.metadata().map(|metadata| metadata.dev()).ok();
        device(source).is_some() && device(source) == device(image)
    })
}

/// Lets `image` have the blocks of `batch`, which is shareable, from its start on: so many
/// bytes as the host shares, which may be none. What is a hole of the source is not shared:
/// it would be a hole of the image, which those who copy an image may skip.
pub(super) fn share(
    batch: &Batch<'_>,
    image: &File,
    reader: &mut Reader,
) -> Result<u64, ReadError> {
    let piece = batch.shared_piece();
    let (Some(file), Content::Source { source, skip }) = (host_file(piece), &piece.content) else {
        return Ok(0);
    };
    let open = reader.open_of_size(file, source.length)?;
    let Range { start, end } = batch.range;
    let from = skip + (start - piece.offset);
    let data = clone::data_from(&open, from).min(end - start);
    Ok(clone::range(&open, from, image, start, data - data % BLOCK))
}

/// The host file that a piece is of.
fn host_file(piece: &Piece) -> Option<&HostFile> {
    match &piece.content {
        Content::Source { source, .. } => match &source.origin {
            Origin::HostFile(file) => Some(file),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(target_os = "linux")]
mod clone {
    use std::fs::File;

    use rustix::fs::{SeekFrom, copy_file_range, ioctl_ficlone, seek};
    use rustix::io::Errno;

    /// The kernel does not look at filesystems whose mounts differ.
    pub(super) struct OtherMount;

    /// Whether `image` could become a clone of `source`; then it is one.
    pub(super) fn whole(source: &File, image: &File) -> Result<bool, OtherMount> {
        match ioctl_ficlone(image, source) {
            Ok(()) => Ok(true),
            Err(Errno::XDEV) => Err(OtherMount),
            Err(_) => Ok(false),
        }
    }

    /// Bytes of `source` from byte `from` on to the next hole, or the end.
    pub(super) fn data_from(source: &File, from: u64) -> u64 {
        seek(source, SeekFrom::Hole(from)).map_or(0, |hole| hole - from)
    }

    /// Lets `image` have, from byte `to` on, the `length` bytes of `source` that begin at
    /// `from`: as many as the host does, which may be fewer, down to none.
    pub(super) fn range(source: &File, from: u64, image: &File, to: u64, length: u64) -> u64 {
        let mut done = 0;
        while done < length {
            let (mut from, mut to) = (from + done, to + done);
            let left = usize::try_from(length - done).unwrap_or(usize::MAX);
            match copy_file_range(source, Some(&mut from), image, Some(&mut to), left) {
                Ok(0) => break,
                Ok(more) => done += more as u64,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        done
    }
}

#[cfg(not(target_os = "linux"))]
mod clone {
    use std::fs::File;

    pub(super) struct OtherMount;

    pub(super) fn whole(_: &File, _: &File) -> Result<bool, OtherMount> {
        Ok(false)
    }

    pub(super) fn data_from(_: &File, _: u64) -> u64 {
        0
    }

    pub(super) fn range(_: &File, _: u64, _: &File, _: u64, _: u64) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As kernels before 5.18 answer in Nix's sandbox, whose store is mounted there once more.
    #[test]
    fn one_filesystem_in_two_mounts_is_tried_and_two_filesystems_are_not() {
        let [image, here] = [0; 2].map(|_| tempfile::tempfile().unwrap());
        let elsewhere = File::open("/proc/self/stat").unwrap();
        assert!(is_to_be_tried(Err(clone::OtherMount), &here, &image));
        assert!(!is_to_be_tried(Err(clone::OtherMount), &elsewhere, &image));
        assert!(!is_to_be_tried(Ok(false), &here, &image));
    }

    #[test]
    fn what_the_host_does_not_copy_is_left_to_be_read() {
        let image = tempfile::tempfile().unwrap();
        let elsewhere = File::open("/proc/self/stat").unwrap();
        assert_eq!(clone::range(&elsewhere, 0, &image, 0, 4096), 0);
        assert_eq!(image.metadata().unwrap().len(), 0);
    }
}
