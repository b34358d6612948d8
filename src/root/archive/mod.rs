//! Archives: tar files as trees.
//!
//! A store path has no modes, owners, times or xattrs; a tar file in the store does.
//! The content of its files is read from where it lies in the tar.
//!
//! Formats: v7, ustar, GNU and pax, uncompressed. Restrictions, all of them errors
//! with the entry's name and offset:
//!
//! - A name neither begins with `/` nor holds `..`, and leads through directories only. It has
//!   at most 4,095 bytes.
//! - Only directories may have two entries, and the later one holds. `tar` would let
//!   the later file replace the earlier; in an archive made for an image that is a
//!   mistake that nobody would see.
//! - A hard link follows the file that it names.
//! - No sparse files; no ACLs or security labels as text of tar's own.
//! - No archive that was cut short: its end is marked by zeros.

mod entries;
mod pax;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tar::EntryType;

use self::entries::{Entries, Entry};
use crate::source::{Container, Origin, Source};
use crate::store::host_file;
use crate::tree::{
    DeviceNumber, Kind, Metadata, Name, NameError, Node, NodeId, Timestamp, Tree, Xattrs,
};

/// Bytes of the longest name: a path that the kernel takes. Who goes through a tree descends
/// with its directories.
const MAX_NAME_BYTES: u64 = 4095;
/// Mode of directories that hold entries but have none themselves.
const IMPLIED_MODE: u16 = 0o755;

/// A tar file that could not become a tree.
#[derive(Debug, thiserror::Error)]
#[error("cannot unpack {}: {}the entry at byte {offset}", path.display(), entry.as_ref().map(|entry| format!("{entry:?}, ")).unwrap_or_default())]
pub struct ArchiveError {
    /// The tar file.
    pub path: PathBuf,
    /// Name of the entry at fault, where it is known, for reading.
    pub entry: Option<String>,
    /// Where the entry begins, in bytes from the start of the file.
    pub offset: u64,
    /// What is wrong.
    #[source]
    pub fault: ArchiveFault,
}

/// What may be wrong with an entry of a tar file.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    /// The host refused.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// The file is compressed.
    #[error(
        "the file is compressed with {0}; give it uncompressed, for its content is read in place"
    )]
    Compressed(&'static str),
    /// The file never was a tar file.
    #[error("the file does not begin as a tar file does")]
    NotTar,
    /// The header has other bytes than when it was written.
    #[error("its header has the checksum {found}, not {expected} as it says; the file is damaged")]
    Checksum {
        /// As the header says.
        expected: u32,
        /// As its bytes give.
        found: u32,
    },
    /// The file ends within an entry.
    #[error("it ends at byte {end}, but the file has only {length} bytes; it was cut short")]
    Truncated {
        /// Where the entry would end.
        end: u64,
        /// Bytes in the file.
        length: u64,
    },
    /// The file ends without saying so.
    #[error("the file ends here, without the zeros that end a tar file; it was cut short")]
    NoEnd,
    /// A field of the header has no value.
    #[error("its {field} cannot be read")]
    Field {
        /// The field.
        field: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// A number is too large.
    #[error("its {field} is {value}, more than {limit}")]
    TooLarge {
        /// What is too large.
        field: &'static str,
        /// The number.
        value: u64,
        /// The largest.
        limit: u64,
    },
    /// An extended header is malformed.
    #[error("its pax header has no record `length key=value` at byte {0} of it")]
    PaxRecord(usize),
    /// A value in an extended header is none of its kind.
    #[error("its pax header gives {key} as {value:?}, which is no number")]
    PaxNumber {
        /// The key.
        key: &'static str,
        /// The value, for reading.
        value: String,
    },
    /// An extended header describes nothing.
    #[error("it describes an entry that does not follow; was the file cut short?")]
    Orphan,
    /// A name leads out of the target.
    #[error(
        "its name begins with / or holds .., and would leave the target; make the tar with relative names"
    )]
    Escape,
    /// A part of the name is no name.
    #[error("its name cannot stand in an image")]
    Name(#[from] NameError),
    /// A file holds another.
    #[error("{parent:?}, through which its name leads, is no directory")]
    Parent {
        /// The name up to the file, for reading.
        parent: String,
    },
    /// A name has two entries, and not both directories.
    #[error(
        "its name is taken by the entry at byte {first}; make the tar anew instead of appending to it"
    )]
    Duplicate {
        /// Where the other entry begins, in bytes.
        first: u64,
    },
    /// A hard link to nothing.
    #[error(
        "it is a hard link to {target:?}, and no such file comes before it; put both into the tar, the file first"
    )]
    LinkTarget {
        /// What it names, for reading.
        target: String,
    },
    /// A symlink to nothing.
    #[error("it is a symlink with an empty target")]
    EmptySymlink,
    /// A sparse file.
    #[error(
        "it is sparse, and its content does not lie in one piece; make the tar without --sparse"
    )]
    Sparse,
    /// Metadata that only tar has in this form.
    #[error(
        "its pax header has {0}, which is not read here; make the tar without --acls and --selinux"
    )]
    Record(String),
    /// A type that no filesystem holds, or that we do not know.
    #[error("it has the type {:?}, which is not known here; make a plain ustar or pax file", char::from(*.0))]
    Type(u8),
}

/// What a tar file holds.
#[derive(Debug)]
pub struct Unpacked {
    /// All of it.
    pub tree: Tree,
    /// Directories that have no entry of their own, perhaps the root.
    pub implied: BTreeSet<NodeId>,
}

/// The tree in the tar file at `path`; what it implies has the time `mtime`.
pub fn unpack(path: &Path, mtime: Timestamp) -> Result<Unpacked, ArchiveError> {
    let error = |offset, entry: Option<&[u8]>, fault| ArchiveError {
        path: path.into(),
        entry: entry.map(readable),
        offset,
        fault,
    };
    let unreadable = |source| error(0, None, ArchiveFault::Read(source));
    let host_file = host_file(path).map_err(|fault| unreadable(io::Error::other(fault)))?;
    let container = Container::host(host_file);
    let (file, length) = container.with_file(again).map_err(unreadable)?;
    let mut entries = Entries::new(io::BufReader::new(file), length);
    let mut unpacking = Unpacking::new(container, mtime);
    loop {
        let entry = match entries.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(fault) => return Err(error(entries.offset(), entries.name(), fault)),
        };
        unpacking
            .put(&entry)
            .map_err(|fault| error(entry.offset, Some(&entry.name), fault))?;
    }
    Ok(unpacking.unpacked)
}

/// The file once more, and its length.
fn again(file: &File) -> io::Result<(File, u64)> {
    let stat = file.metadata()?;
    if stat.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok((file.try_clone()?, stat.len()))
}

/// A tree that grows by entries.
struct Unpacking {
    container: Arc<Container>,
    implied_metadata: Metadata,
    unpacked: Unpacked,
    /// Where the entry of each node begins, in bytes.
    offsets: Vec<u64>,
}

impl Unpacking {
    fn new(container: Container, mtime: Timestamp) -> Self {
        let implied_metadata = Metadata::of_root(IMPLIED_MODE, mtime);
        Self {
            container: container.into(),
            unpacked: Unpacked {
                tree: Tree::new(Node::directory(implied_metadata.clone())),
                implied: [Tree::ROOT].into(),
            },
            implied_metadata,
            offsets: vec![0],
        }
    }

    fn put(&mut self, entry: &Entry) -> Result<(), ArchiveFault> {
        let bytes = entry.name.len() as u64;
        if bytes > MAX_NAME_BYTES {
            return Err(ArchiveFault::TooLarge {
                field: "name's length",
                value: bytes,
                limit: MAX_NAME_BYTES,
            });
        }
        let names = names(&entry.name)?;
        let Some((name, parents)) = names.split_last() else {
            return self.put_directory(Tree::ROOT, entry);
        };
        let parent = self.directories(parents, entry)?;
        let there = self.unpacked.tree.lookup(parent, name);
        if let Some(there) = there {
            return self.put_directory(there, entry);
        }
        if entry.kind() == EntryType::Link {
            let target = self.link_target(entry)?;
            self.unpacked
                .tree
                .link(parent, name.clone(), target)
                .expect("the name is free");
            return Ok(());
        }
        let node = Node {
            metadata: metadata(entry)?.into(),
            kind: self.kind(entry)?,
        };
        self.insert(parent, name, node, entry);
        Ok(())
    }

    /// Lets the entry of a directory describe the directory `there`.
    fn put_directory(&mut self, there: NodeId, entry: &Entry) -> Result<(), ArchiveFault> {
        let node = self.unpacked.tree.node_mut(there);
        if !node.is_directory() || entry.kind() != EntryType::Directory {
            let first = self.offsets[there.index()];
            return Err(ArchiveFault::Duplicate { first });
        }
        node.metadata = metadata(entry)?.into();
        self.unpacked.implied.remove(&there);
        self.offsets[there.index()] = entry.offset;
        Ok(())
    }

    /// The directory at `names`, implied where it is missing.
    fn directories(&mut self, names: &[Name], entry: &Entry) -> Result<NodeId, ArchiveFault> {
        let mut id = Tree::ROOT;
        for (depth, name) in names.iter().enumerate() {
            id = if let Some(there) = self.unpacked.tree.lookup(id, name) {
                there
            } else {
                let node = Node::directory(self.implied_metadata.clone());
                let id = self.insert(id, name, node, entry);
                self.unpacked.implied.insert(id);
                id
            };
            if !self.unpacked.tree.node(id).is_directory() {
                let parent: Vec<_> = names[..=depth].iter().map(Name::as_bytes).collect();
                return Err(ArchiveFault::Parent {
                    parent: readable(&parent.join(&b'/')),
                });
            }
        }
        Ok(id)
    }

    fn insert(&mut self, parent: NodeId, name: &Name, node: Node, entry: &Entry) -> NodeId {
        self.offsets.push(entry.offset);
        self.unpacked
            .tree
            .insert(parent, name.clone(), node)
            .expect("the name was looked up and is free")
    }

    fn link_target(&self, entry: &Entry) -> Result<NodeId, ArchiveFault> {
        let tree = &self.unpacked.tree;
        let names = names(&entry.link)?;
        names
            .iter()
            .try_fold(Tree::ROOT, |id, name| tree.lookup(id, name))
            .filter(|id| !tree.node(*id).is_directory())
            .ok_or_else(|| ArchiveFault::LinkTarget {
                target: readable(&entry.link),
            })
    }

    fn kind(&self, entry: &Entry) -> Result<Kind, ArchiveFault> {
        Ok(match entry.kind() {
            EntryType::Regular | EntryType::Continuous => {
                let container = self.container.clone();
                let offset = entry.content;
                Kind::File(Source::new(entry.size, Origin::Range { container, offset }))
            }
            EntryType::Directory => Kind::Directory(std::collections::BTreeMap::new()),
            EntryType::Symlink if entry.link.is_empty() => return Err(ArchiveFault::EmptySymlink),
            EntryType::Symlink => Kind::Symlink(entry.link.clone().into()),
            EntryType::Char => Kind::CharacterDevice(device_number(entry)?),
            EntryType::Block => Kind::BlockDevice(device_number(entry)?),
            EntryType::Fifo => Kind::Fifo,
            other => return Err(ArchiveFault::Type(other.as_byte())),
        })
    }
}

/// The names that a path leads through: none for the root.
fn names(path: &[u8]) -> Result<Vec<Name>, ArchiveFault> {
    let parts = path.split(|byte| *byte == b'/');
    if path.starts_with(b"/") || parts.clone().any(|part| part == b"..") {
        return Err(ArchiveFault::Escape);
    }
    parts
        .filter(|part| !matches!(*part, b"" | b"."))
        .map(|part| Ok(Name::new(part)?))
        .collect()
}

fn metadata(entry: &Entry) -> Result<Metadata, ArchiveFault> {
    let header = &entry.header;
    let mode = header.mode().map_err(field("mode"))? & 0o7777; // some add the type's bits
    let mode = u16::try_from(mode).expect("12 bits fit");
    let xattrs: Xattrs = entry.records.xattrs().collect();
    Ok(Metadata {
        mode,
        uid: id("uid", entry.records.number("uid")?, || header.uid())?,
        gid: id("gid", entry.records.number("gid")?, || header.gid())?,
        mtime: match entry.records.time("mtime")? {
            Some(time) => time,
            None => seconds(header.mtime().map_err(field("time"))?),
        },
        xattrs: (!xattrs.is_empty()).then(|| Box::new(xattrs)),
    })
}

/// A time before 1970 is in the header as two's complement.
fn seconds(in_header: u64) -> Timestamp {
    Timestamp::from_seconds(in_header.cast_signed())
}

fn id(
    name: &'static str,
    record: Option<u64>,
    in_header: impl Fn() -> io::Result<u64>,
) -> Result<u32, ArchiveFault> {
    let value = record.map_or_else(in_header, Ok).map_err(field(name))?;
    // The highest number means "none" to the kernel.
    let limit = u32::MAX - 1;
    u32::try_from(value)
        .ok()
        .filter(|id| *id <= limit)
        .ok_or(ArchiveFault::TooLarge {
            field: name,
            value,
            limit: limit.into(),
        })
}

fn device_number(entry: &Entry) -> Result<DeviceNumber, ArchiveFault> {
    let number = |value: io::Result<Option<u32>>| {
        value
            .and_then(|value| value.ok_or_else(|| io::ErrorKind::Unsupported.into()))
            .map_err(field("device number"))
    };
    Ok(DeviceNumber {
        major: number(entry.header.device_major())?,
        minor: number(entry.header.device_minor())?,
    })
}

fn field(field: &'static str) -> impl Fn(io::Error) -> ArchiveFault {
    move |source| ArchiveFault::Field { field, source }
}

fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
