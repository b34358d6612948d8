//! The disk that the FAT crate writes to: it keeps what is metadata, and of a file's
//! content only where it belongs.
//!
//! Nothing that is free is ever written, and no content is read: the crate is given zeros
//! in its place, and a piece that reads the file's source stands where they would be.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use hadris_fat::sync::{ErrorKind, IoResult, Read, Seek, SeekFrom, Write};

use crate::image::{Content, Piece, Pieces};
use crate::source::Source;

/// A disk that is shared with the crate's volume, to which it belongs.
#[derive(Clone, Debug)]
pub(super) struct Disk(Rc<RefCell<Inner>>);

/// Metadata is kept in blocks of this many bytes: the smallest sector.
const BLOCK: u64 = 512;
const BLOCK_LENGTH: usize = 512;

#[derive(Debug)]
struct Inner {
    /// Bytes of the disk.
    size: u64,
    /// Where the next byte is read or written.
    position: u64,
    /// What was written, by number. A block that is zero is not here.
    blocks: BTreeMap<u64, [u8; BLOCK_LENGTH]>,
    /// Blocks that were written: the first of a run, and the one behind its last.
    written: BTreeMap<u64, u64>,
    /// Where the content of files belongs.
    contents: Vec<Piece>,
    /// The file that is being written.
    file: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    source: Source,
    /// Bytes of it that have their place.
    placed: u64,
    /// Where clusters begin, and their size, in bytes.
    data_start: u64,
    cluster_bytes: u64,
}

impl Disk {
    /// An empty disk of `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            size,
            position: 0,
            blocks: BTreeMap::new(),
            written: BTreeMap::new(),
            contents: Vec::new(),
            file: None,
        })))
    }

    /// From now on, what is written from `data_start` on is the content of `source`, in
    /// clusters of `cluster_bytes`, up to [`Disk::end_file`].
    pub(super) fn begin_file(&self, source: &Source, data_start: u64, cluster_bytes: u64) {
        self.0.borrow_mut().file = Some(OpenFile {
            source: source.clone(),
            placed: 0,
            data_start,
            cluster_bytes,
        });
    }

    /// What is written is metadata again.
    pub(super) fn end_file(&self) {
        self.0.borrow_mut().file = None;
    }

    /// The bytes from `offset` on, as many as `bytes` takes; of content zeros.
    pub(super) fn read_at(&self, offset: u64, bytes: &mut [u8]) {
        self.0.borrow().read_at(offset, bytes);
    }

    /// Puts `bytes` at `offset`.
    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) {
        self.0.borrow_mut().write_at(offset, bytes);
    }

    /// What was written, as pieces of an image.
    pub(super) fn into_pieces(self) -> Pieces {
        let mut inner = self.0.borrow_mut();
        let mut pieces = std::mem::take(&mut inner.contents);
        for (&start, &end) in &inner.written {
            inner.add_pieces(start, end, &mut pieces);
        }
        Pieces::new(inner.size, pieces)
    }
}

impl Inner {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) {
        for_each_block(offset, bytes.len(), |block, in_block, in_bytes| match self
            .blocks
            .get(&block)
        {
            Some(found) => bytes[in_bytes].copy_from_slice(&found[in_block]),
            None => bytes[in_bytes].fill(0),
        });
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        for_each_block(offset, bytes.len(), |block, in_block, in_bytes| {
            let bytes = &bytes[in_bytes];
            if !self.blocks.contains_key(&block) && bytes.iter().all(|byte| *byte == 0) {
                return;
            }
            self.blocks.entry(block).or_insert([0; BLOCK_LENGTH])[in_block].copy_from_slice(bytes);
        });
        let end = offset + bytes.len() as u64;
        self.mark_written(offset / BLOCK, end.div_ceil(BLOCK));
    }

    /// Notes that the blocks from `start` up to `end` were written.
    fn mark_written(&mut self, mut start: u64, mut end: u64) {
        let touching = |written: &BTreeMap<u64, u64>, start, end| {
            let (&first, &last) = written.range(..=end).next_back()?;
            (last >= start).then_some((first, last))
        };
        while let Some((first, last)) = touching(&self.written, start, end) {
            if first <= start && end <= last {
                return;
            }
            self.written.remove(&first);
            (start, end) = (start.min(first), end.max(last));
        }
        self.written.insert(start, end);
    }

    /// Notes that the next `length` bytes of the open file belong to `offset`.
    fn place(&mut self, offset: u64, length: u64) {
        let Some(file) = &mut self.file else {
            unreachable!("only the content of an open file has a place")
        };
        let skip = file.placed;
        file.placed += length;
        // The rest of the last cluster is the file's too.
        let end = offset + length;
        let end = end + (file.data_start.wrapping_sub(end)) % file.cluster_bytes;
        match self.contents.last_mut() {
            Some(last) if skip > 0 && last.offset + last.length == offset => {
                last.length = end - last.offset;
            }
            _ => self.contents.push(Piece {
                offset,
                length: end - offset,
                content: Content::Source {
                    source: file.source.clone(),
                    skip,
                },
            }),
        }
    }

    /// The pieces of the written blocks from `start` up to `end`: runs of bytes and of
    /// zeros.
    fn add_pieces(&self, start: u64, end: u64, pieces: &mut Vec<Piece>) {
        let is_zero = |block| {
            self.blocks
                .get(&block)
                .is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0))
        };
        let mut at = start;
        while at < end {
            let zero = is_zero(at);
            let run = (at..end).take_while(|block| is_zero(*block) == zero);
            let next = at + run.count() as u64;
            let content = if zero {
                Content::Zeros
            } else {
                let bytes: Vec<u8> = (at..next).flat_map(|block| self.blocks[&block]).collect();
                Content::Source {
                    source: Source::bytes(bytes),
                    skip: 0,
                }
            };
            pieces.push(Piece {
                offset: at * BLOCK,
                length: (next - at) * BLOCK,
                content,
            });
            at = next;
        }
    }

    /// Bytes from `position` to the end, at most `wanted`.
    fn left(&self, wanted: usize) -> usize {
        let left = self.size.saturating_sub(self.position);
        usize::try_from(left).map_or(wanted, |left| left.min(wanted))
    }
}

/// Calls `with` for each block that the `length` bytes at `offset` touch: with its number,
/// the range in it, and the range of the bytes.
fn for_each_block(
    offset: u64,
    length: usize,
    mut with: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>),
) {
    let mut done = 0;
    while done < length {
        let at = offset + done as u64;
        let in_block = usize::try_from(at % BLOCK).expect("less than a block");
        let part = (BLOCK_LENGTH - in_block).min(length - done);
        with(at / BLOCK, in_block..in_block + part, done..done + part);
        done += part;
    }
}

impl Read for Disk {
    type Error = ErrorKind;

    fn read(&mut self, bytes: &mut [u8]) -> IoResult<usize> {
        let mut inner = self.0.borrow_mut();
        let length = inner.left(bytes.len());
        inner.read_at(inner.position, &mut bytes[..length]);
        inner.position += length as u64;
        Ok(length)
    }
}

impl Write for Disk {
    type Error = ErrorKind;

    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        let mut inner = self.0.borrow_mut();
        let (offset, length) = (inner.position, inner.left(bytes.len()));
        match &inner.file {
            Some(file) if offset >= file.data_start => inner.place(offset, length as u64),
            _ => inner.write_at(offset, &bytes[..length]),
        }
        inner.position += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}

impl Seek for Disk {
    type Error = ErrorKind;

    fn seek(&mut self, to: SeekFrom) -> IoResult<u64> {
        let mut inner = self.0.borrow_mut();
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => inner.position.checked_add_signed(by),
            SeekFrom::End(by) => inner.size.checked_add_signed(by),
        };
        inner.position =
            position.ok_or(hadris_fat::sync::Error::from_kind(ErrorKind::InvalidInput))?;
        Ok(inner.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(disk: &mut Disk, offset: u64, bytes: &[u8]) {
        disk.seek(SeekFrom::Start(offset)).unwrap();
        disk.write_all(bytes).unwrap();
    }

    /// Offset, length, and the first byte, or what else it is.
    fn shown(disk: Disk) -> Vec<(u64, u64, String)> {
        let pieces = disk.into_pieces();
        let show = |content: &Content| match content {
            Content::Zeros => "zeros".to_owned(),
            Content::Source { source, skip } => {
                let mut byte = [0];
                source.read_at(*skip, &mut byte).unwrap();
                char::from(byte[0]).to_string()
            }
            Content::Encoded(_) => unreachable!(),
        };
        pieces
            .as_slice()
            .iter()
            .map(|piece| (piece.offset, piece.length, show(&piece.content)))
            .collect()
    }

    #[test]
    fn what_was_written_is_pieces_and_the_rest_is_not() {
        let mut disk = Disk::new(1 << 20);
        at(&mut disk, 0, &[0; 2048]);
        at(&mut disk, 512, b"a");
        at(&mut disk, 1023, b"aa");
        at(&mut disk, 8192, b"b");
        at(&mut disk, 8192, &[0]);
        assert_eq!(
            shown(disk),
            [
                (0, 512, "zeros".into()),
                (512, 1024, "a".into()),
                (1536, 512, "zeros".into()),
                (8192, 512, "zeros".into()),
            ]
        );
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let mut disk = Disk::new(4096);
        at(&mut disk, 500, &[7; 1000]);
        disk.seek(SeekFrom::Start(0)).unwrap();
        let mut bytes = [1; 2000];
        disk.read_exact(&mut bytes).unwrap();
        assert!(
            bytes[..500]
                .iter()
                .chain(&bytes[1500..])
                .all(|byte| *byte == 0)
        );
        assert!(bytes[500..1500].iter().all(|byte| *byte == 7));
        disk.seek(SeekFrom::End(-1)).unwrap();
        assert!(disk.write_all(&[1, 2]).is_err(), "a disk has an end");
    }

    #[test]
    fn content_is_its_source_up_to_the_end_of_its_last_cluster() {
        let mut disk = Disk::new(1 << 20);
        let source = Source::bytes([vec![b'x'; 5000], vec![b'y'; 100]].concat());
        disk.begin_file(&source, 4608, 1024);
        at(&mut disk, 512, b"t");
        at(&mut disk, 4608, &[0; 1024]);
        at(&mut disk, 5632, &[0; 3976]);
        at(&mut disk, 512, b"u");
        // Elsewhere, as after a cluster of somebody else's.
        at(&mut disk, 4608 + 10 * 1024, &[0; 100]);
        disk.end_file();
        at(&mut disk, 4608 + 20 * 1024, b"d");
        assert_eq!(
            shown(disk),
            [
                (512, 512, "u".into()),
                (4608, 5 * 1024, "x".into()),
                (4608 + 10 * 1024, 1024, "y".into()),
                (4608 + 20 * 1024, 512, "d".into()),
            ]
        );
    }
}
