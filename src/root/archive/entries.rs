//! The entries of a tar file, with what extended headers say of them.
//!
//! The `tar` crate decodes headers. Its iterator is not used: it splits pax records
//! at newlines, and so drops a name or xattr that holds one without a word, and its
//! errors have no offset.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use tar::{EntryType, Header};

use super::ArchiveFault;
use super::pax::Records;

/// Headers, and content with its padding, are multiples of this many bytes.
const BLOCK_SIZE: u64 = 512;

/// Bytes in the longest extended header that is read: names and xattrs are shorter.
const MAX_EXTENSION: u64 = 1 << 20;

/// Types of GNU tar that the `tar` crate has no name for.
const VOLUME_LABEL: u8 = b'V';
const DUMP_DIRECTORY: u8 = b'D';

/// What begins a compressed file, and what compressed it.
const MAGICS: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP", "lzip"),
];

/// A file of some type in a tar file.
pub(super) struct Entry {
    /// Where it begins, in bytes, its extended headers included.
    pub(super) offset: u64,
    pub(super) name: Vec<u8>,
    /// Target of a link; empty if it is none.
    pub(super) link: Vec<u8>,
    pub(super) header: Header,
    pub(super) records: Records,
    /// Where its content begins, in bytes.
    pub(super) content: u64,
    /// Bytes of its content, which lie within the file.
    pub(super) size: u64,
}

/// Reads a tar file's entries one by one.
pub(super) struct Entries<R> {
    from: R,
    /// Bytes in the file.
    length: u64,
    /// Where the next header begins, in bytes.
    position: u64,
    /// Where the entry that is being read begins.
    offset: u64,
    /// Name of the entry that is being read, once it is known.
    name: Option<Vec<u8>>,
    /// What holds for all entries that follow.
    global: Records,
}

/// What extended headers say of the entry after them.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Option<Records>,
}

impl Entry {
    pub(super) fn kind(&self) -> EntryType {
        self.header.entry_type()
    }
}

impl<R: Read + Seek> Entries<R> {
    pub(super) fn new(from: R, length: u64) -> Self {
        Self {
            from,
            length,
            position: 0,
            offset: 0,
            name: None,
            global: Records::default(),
        }
    }

    /// Where the entry that was read last begins, in bytes.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Name of the entry that was read last, where it is known.
    pub(super) fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// The next entry; none at the mark that ends the file.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ArchiveFault> {
        self.offset = self.position;
        self.name = None;
        let mut extensions = Extensions::default();
        while let Some(header) = self.header()? {
            match header.entry_type() {
                EntryType::XGlobalHeader => {
                    let bytes = self.extension(&header)?;
                    self.global.update(Records::parse(&bytes)?);
                }
                EntryType::XHeader => {
                    let bytes = self.extension(&header)?;
                    extensions.records = Some(Records::parse(&bytes)?);
                }
                EntryType::GNULongName => extensions.name = Some(self.long_name(&header)?),
                EntryType::GNULongLink => extensions.link = Some(self.long_name(&header)?),
                other if other.as_byte() == VOLUME_LABEL => {}
                _ => return self.entry(header, extensions).map(Some),
            }
        }
        if extensions.is_empty() {
            return Ok(None);
        }
        Err(ArchiveFault::Orphan)
    }

    fn entry(&mut self, mut header: Header, extensions: Extensions) -> Result<Entry, ArchiveFault> {
        let mut records = self.global.clone();
        records.update(extensions.records.unwrap_or_default());
        let name = records
            .get("path")
            .map(<[u8]>::to_vec)
            .or(extensions.name)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = records
            .get("linkpath")
            .map(<[u8]>::to_vec)
            .or(extensions.link)
            .or_else(|| Some(header.link_name_bytes()?.into_owned()))
            .unwrap_or_default();
        self.name = Some(name.clone());
        if header.entry_type() == EntryType::GNUSparse || records.is_sparse() {
            return Err(ArchiveFault::Sparse);
        }
        if let Some(key) = records.unread() {
            return Err(ArchiveFault::Record(super::readable(key)));
        }
        header.set_entry_type(true_type(&header, &name));
        let size = match records.number("size")? {
            _ if header.entry_type() == EntryType::Link => 0, // as GNU tar reads it: the size is that of the file
            Some(size) => size,
            None => size(&header)?,
        };
        let content = self.position;
        self.skip(size)?;
        Ok(Entry {
            offset: self.offset,
            name,
            link,
            header,
            records,
            content,
            size,
        })
    }

    /// The next header; none where zeros end the file.
    fn header(&mut self) -> Result<Option<Header>, ArchiveFault> {
        if self.position == self.length && self.position > 0 {
            return Err(ArchiveFault::NoEnd);
        }
        let mut header = Header::new_old();
        self.from
            .seek(SeekFrom::Start(self.position))
            .map_err(ArchiveFault::Read)?;
        let bytes = header.as_mut_bytes();
        let is_whole = match self.from.read_exact(bytes) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(ArchiveFault::Read(error)),
        };
        if self.position == 0 {
            check_beginning(&header)?;
        }
        if !is_whole {
            return Err(self.truncated(self.position + BLOCK_SIZE));
        }
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let expected = header.cksum().map_err(super::field("checksum"))?;
        let found = checksum(&header);
        if expected != found {
            return Err(ArchiveFault::Checksum { expected, found });
        }
        self.position += BLOCK_SIZE;
        Ok(Some(header))
    }

    /// The content of an extended header.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, ArchiveFault> {
        let value = size(header)?;
        let length = usize::try_from(value)
            .ok()
            .filter(|_| value <= MAX_EXTENSION)
            .ok_or(ArchiveFault::TooLarge {
                field: "extended header's size",
                value,
                limit: MAX_EXTENSION,
            })?;
        self.skip(value)?;
        let mut bytes = vec![0; length];
        self.from
            .read_exact(&mut bytes)
            .map_err(ArchiveFault::Read)?;
        Ok(bytes)
    }

    /// A name in an extended header of GNU's, which ends in a NUL byte.
    fn long_name(&mut self, header: &Header) -> Result<Vec<u8>, ArchiveFault> {
        let mut name = self.extension(header)?;
        if let Some(end) = name.iter().position(|byte| *byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    /// Passes over `size` bytes of content, which must be there, and their padding,
    /// which at the very end need not.
    fn skip(&mut self, size: u64) -> Result<(), ArchiveFault> {
        let end = self.position.saturating_add(size);
        if end > self.length {
            return Err(self.truncated(end));
        }
        self.position = end.next_multiple_of(BLOCK_SIZE);
        Ok(())
    }

    fn truncated(&self, end: u64) -> ArchiveFault {
        ArchiveFault::Truncated {
            end,
            length: self.length,
        }
    }
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.records.is_none()
    }
}

/// Tells a file that is no tar file by its first block.
fn check_beginning(first: &Header) -> Result<(), ArchiveFault> {
    if first
        .cksum()
        .is_ok_and(|expected| expected == checksum(first))
    {
        return Ok(());
    }
    let bytes = first.as_bytes();
    if let Some((_, format)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(ArchiveFault::Compressed(format));
    }
    let is_empty_archive = bytes.iter().all(|byte| *byte == 0);
    if is_empty_archive || first.as_ustar().is_some() || first.as_gnu().is_some() {
        return Ok(()); // another message says more
    }
    Err(ArchiveFault::NotTar)
}

/// The sum of a header's bytes, those of the sum itself taken as spaces.
fn checksum(header: &Header) -> u32 {
    let sum_field = 148..156;
    header
        .as_bytes()
        .iter()
        .enumerate()
        .map(|(at, byte)| if sum_field.contains(&at) { b' ' } else { *byte })
        .map(u32::from)
        .sum()
}

/// The type that a header means: v7 has none for directories, and ends their names in `/`.
fn true_type(header: &Header, name: &[u8]) -> EntryType {
    match header.entry_type() {
        EntryType::Regular if name.ends_with(b"/") => EntryType::Directory,
        other if other.as_byte() == DUMP_DIRECTORY => EntryType::Directory,
        other => other,
    }
}

fn size(header: &Header) -> Result<u64, ArchiveFault> {
    header.entry_size().map_err(super::field("size"))
}
