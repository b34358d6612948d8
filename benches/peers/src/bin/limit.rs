//! The limit: what it costs to read a closure and to write it once, and nothing else.
//!
//! `limit WAY LIST IMAGE` walks the store paths that the file LIST names, one a line,
//! on all cores; then all cores read every file and write it at its place in IMAGE: one
//! behind the other, in whole blocks of 4 KiB. There is no filesystem in IMAGE.
//!
//! The ways differ in how bytes get there:
//!
//! - `walk`: nothing is read and nothing written, all is only looked at;
//! - `read`: they do not; they are read, no more;
//! - `write-N`: nothing is read; what `pieces-N` writes is written, other bytes from one buffer;
//! - `pieces-N`: through a buffer of N KiB, which takes many files or a part of one;
//! - `copy_file_range`, `sendfile`: by the kernel, a system call for each file.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use nix2image_peers::store_paths;
use nix2image_peers::walk::{self, Directory};
use rustix::fs::{Mode, OFlags};

const BLOCK_BYTES: u64 = 4096;

/// How a thread gets bytes to their place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Walk,
    Read,
    Write,
    Pieces,
    CopyFileRange,
    Sendfile,
}

/// A part of a file.
struct Part<'walk> {
    /// Place of its directory in the walk.
    directory: usize,
    file: &'walk walk::File,
    /// Bytes of the file before the part.
    skip: u64,
    length: u64,
    /// Bytes of the image before the part.
    offset: u64,
}

/// What one thread needs.
struct Worker<'walk> {
    way: Way,
    directories: &'walk [Directory],
    image: File,
    buffer: Vec<u8>,
    /// The directory of the last file: its neighbours are opened from it.
    open: Option<(usize, OwnedFd)>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, list, image] = &arguments[..] else {
        bail!("usage: limit WAY LIST IMAGE");
    };
    let (way, piece_kib) = match way.split_once('-').unwrap_or((way, "1024")) {
        ("walk", kib) => (Way::Walk, kib),
        ("read", kib) => (Way::Read, kib),
        ("write", kib) => (Way::Write, kib),
        ("pieces", kib) => (Way::Pieces, kib),
        ("copy_file_range", kib) => (Way::CopyFileRange, kib),
        ("sendfile", kib) => (Way::Sendfile, kib),
        _ => bail!("there is no way {way}"),
    };
    let piece_kib: u64 = piece_kib.parse()?;
    let directories = walk::walk(&store_paths(list)?)?;
    if way == Way::Walk {
        return Ok(());
    }
    let (pieces, image_bytes) = cut(&directories, piece_kib << 10);

    File::create(image)
        .and_then(|file| file.set_len(image_bytes))
        .with_context(|| format!("creating {image}"))?;
    let next = AtomicUsize::new(0);
    let results = rayon::broadcast(|_| -> Result<()> {
        let mut worker = Worker {
            way,
            directories: &directories,
            image: OpenOptions::new().read(true).write(true).open(image)?,
            buffer: Vec::new(),
            open: None,
        };
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            worker.put(piece)?;
        }
        Ok(())
    });
    results.into_iter().collect()
}

/// The parts of all files, in pieces of at most `piece_bytes`; and the bytes of the image.
fn cut(directories: &[Directory], piece_bytes: u64) -> (Vec<Vec<Part<'_>>>, u64) {
    let mut pieces: Vec<Vec<Part<'_>>> = Vec::new();
    let mut room = 0;
    let mut offset = 0;
    let files = directories
        .iter()
        .enumerate()
        .flat_map(|(index, directory)| directory.files.iter().map(move |file| (index, file)));
    for (directory, file) in files {
        let mut skip = 0;
        while skip < file.size {
            if room == 0 {
                pieces.push(Vec::new());
                room = piece_bytes;
            }
            let length = (file.size - skip).min(room);
            if let Some(piece) = pieces.last_mut() {
                piece.push(Part {
                    directory,
                    file,
                    skip,
                    length,
                    offset,
                });
            }
            let blocks_bytes = length.next_multiple_of(BLOCK_BYTES);
            room = room.saturating_sub(blocks_bytes);
            offset += blocks_bytes;
            skip += length;
        }
    }
    (pieces, offset)
}

impl Worker<'_> {
    fn put(&mut self, piece: &[Part<'_>]) -> Result<()> {
        if self.way == Way::Write {
            return self.write(piece);
        }
        self.buffer.clear();
        for part in piece {
            let mut file = self.open(part)?;
            match self.way {
                Way::Walk | Way::Write => {}
                Way::Read | Way::Pieces => {
                    if part.skip > 0 {
                        file.seek(SeekFrom::Start(part.skip))?;
                    }
                    self.append(&file, part)?;
                }
                Way::CopyFileRange => self.copy_file_range(&file, part)?,
                Way::Sendfile => self.sendfile(&file, part)?,
            }
        }
        if let (Way::Pieces, Some(first)) = (self.way, piece.first()) {
            self.image.write_all_at(&self.buffer, first.offset)?;
        }
        Ok(())
    }

    /// Writes as many bytes as `piece` has.
    fn write(&mut self, piece: &[Part<'_>]) -> Result<()> {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else {
            return Ok(());
        };
        let end = (last.offset + last.length).next_multiple_of(BLOCK_BYTES);
        let bytes = usize::try_from(end - first.offset)?;
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 1);
        }
        Ok(self
            .image
            .write_all_at(&self.buffer[..bytes], first.offset)?)
    }

    fn open(&mut self, part: &Part<'_>) -> Result<File> {
        let directory = match self.open.take() {
            Some((index, directory)) if index == part.directory => directory,
            _ => walk::open(&self.directories[part.directory].path)?,
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &part.file.name, flags, Mode::empty())?;
        self.open = Some((part.directory, directory));
        Ok(file.into())
    }

    /// Reads a part behind what is in the buffer, and zeros to the end of its block.
    fn append(&mut self, file: &File, part: &Part<'_>) -> Result<()> {
        let found = file.take(part.length).read_to_end(&mut self.buffer)?;
        ensure!(
            found as u64 == part.length,
            "{} became shorter",
            part.file.name.to_string_lossy()
        );
        let whole = self.buffer.len().next_multiple_of(4096);
        self.buffer.resize(whole, 0);
        Ok(())
    }

    fn copy_file_range(&self, file: &File, part: &Part<'_>) -> Result<()> {
        let (mut from, mut to) = (part.skip, part.offset);
        let mut left = usize::try_from(part.length)?;
        while left > 0 {
            let copied = rustix::fs::copy_file_range(
                file,
                Some(&mut from),
                &self.image,
                Some(&mut to),
                left,
            )
            .context("copy_file_range")?;
            ensure!(
                copied > 0,
                "{} became shorter",
                part.file.name.to_string_lossy()
            );
            left -= copied;
        }
        Ok(())
    }

    fn sendfile(&mut self, file: &File, part: &Part<'_>) -> Result<()> {
        self.image.seek(SeekFrom::Start(part.offset))?;
        let mut from = part.skip;
        let mut left = usize::try_from(part.length)?;
        while left > 0 {
            let sent = rustix::fs::sendfile(&self.image, file, Some(&mut from), left)
                .map_err(std::io::Error::from);
            match sent {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("sendfile"),
                Ok(0) => bail!("{} became shorter", part.file.name.to_string_lossy()),
                Ok(sent) => left -= sent,
            }
        }
        Ok(())
    }
}
