//! From a tree to a tar archive, by arithmetic: the other end that a tree may have
//! beside [`ext4`](crate::ext4).
//!
//! ```text
//! archive := entry* zeros(1024) zeros to a multiple of 10,240
//! entry   := [pax header, records] header content    each padded to 512 with zeros
//! ```
//!
//! POSIX pax: what the ustar header cannot hold stands in records before it. A directory
//! comes before its entries, which come in byte order; the root is `./`, all else
//! `./path`. The second and later names of a file are hard links to the first. Owners
//! have numbers and no names. Source: POSIX, `pax`; star's `SCHILY.xattr`, as GNU tar
//! writes it.

mod entry;
mod header;
mod pax;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use self::entry::Inventory;
use crate::image::{Content, Encode, Piece, Pieces};
use crate::tree::{Kind, NodeId, Tree};

/// Headers, and content with its padding, are multiples of this many bytes.
const BLOCK_SIZE: u64 = 512;
/// Zeros that end an archive.
const END_SIZE: u64 = 2 * BLOCK_SIZE;
/// An archive is a multiple of this many bytes: what tapes took at once.
const RECORD_SIZE: u64 = 20 * BLOCK_SIZE;

/// A tree that tar cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tar archive cannot hold {path}: {fault}")]
pub struct TarError {
    /// The file at fault, for reading.
    pub path: String,
    /// What is wrong with it.
    pub fault: TarFault,
}

/// Why tar cannot hold a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TarFault {
    /// The root of the tree is a file.
    #[error("it is the root of an archive and must be a directory")]
    Root,
    /// A directory with two names.
    #[error("it is a directory that has another name already")]
    DirectoryLink,
    /// A symlink to nothing.
    #[error("it is a symlink with an empty target")]
    EmptySymlink,
    /// A target or a name of an xattr that no system takes.
    #[error("its {field} holds a NUL byte")]
    Nul {
        /// `symlink's target` or `xattr's name`.
        field: &'static str,
    },
    /// Bits that are no permissions.
    #[error("its mode is {mode:o}; permissions are at most 7777")]
    Mode {
        /// The mode.
        mode: u16,
    },
    /// More nanoseconds than a second has.
    #[error("its time has {nanoseconds} nanoseconds; a second has fewer than 1000000000")]
    Nanoseconds {
        /// Nanoseconds.
        nanoseconds: u32,
    },
    /// A device number beyond the header's digits.
    #[error("it is the device {major}:{minor}; a header has room for {max}:{max}", max = header::MAX_SMALL)]
    Device {
        /// The driver.
        major: u32,
        /// The device.
        minor: u32,
    },
}

/// Bytes of an archive by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// What all entries take.
    pub entries: EntryCosts,
    /// Zeros that end the archive.
    pub end: u64,
}

/// Bytes that an entry, or several, take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCosts {
    /// Headers, and records before them.
    pub headers: u64,
    /// Content of files.
    pub content: u64,
    /// Zeros behind contents, up to whole blocks.
    pub padding: u64,
}

impl EntryCosts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.headers + self.content + self.padding
    }
}

impl Costs {
    /// All bytes: those of the archive.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.entries.total() + self.end
    }
}

/// Lays out `tree` as a tar archive, whose size is exact.
pub fn lay_out(tree: Tree) -> Result<Pieces, TarError> {
    Ok(lay_out_with_costs(tree, |_, _| ())?.0)
}

/// The same, and what it takes; `each` is told what each entry takes, of a file with several
/// names each time.
pub fn lay_out_with_costs(
    tree: Tree,
    mut each: impl FnMut(NodeId, EntryCosts),
) -> Result<(Pieces, Costs), TarError> {
    let inventory = Arc::new(Inventory::new(tree)?);
    let mut costs = Costs::default();
    let mut pieces = Vec::new();
    let mut end = 0;
    let mut add = |length: u64, content| {
        pieces.push(Piece {
            offset: end,
            length,
            content,
        });
        end += length;
        end
    };
    for index in 0..inventory.len() {
        let head = Head {
            inventory: inventory.clone(),
            index,
        };
        let mut entry = EntryCosts {
            headers: inventory.head_size(index),
            ..EntryCosts::default()
        };
        add(entry.headers, Content::Encoded(Arc::new(head)));
        if let Kind::File(source) = &inventory.content(index).kind
            && !inventory.is_link(index)
        {
            let content = Content::Source {
                source: source.clone(),
                skip: 0,
            };
            let padded = source.length.next_multiple_of(BLOCK_SIZE);
            entry.content = source.length;
            entry.padding = padded - source.length;
            add(padded, content);
        }
        costs.entries.headers += entry.headers;
        costs.entries.content += entry.content;
        costs.entries.padding += entry.padding;
        each(inventory.node(index), entry);
    }
    let end = add(END_SIZE, Content::Zeros);
    let size = add(end.next_multiple_of(RECORD_SIZE) - end, Content::Zeros);
    costs.end = size - costs.entries.total();
    Ok((Pieces::new(size, pieces), costs))
}

/// What stands before the content of an entry; made when it is written.
struct Head {
    inventory: Arc<Inventory>,
    /// Of the entry.
    index: usize,
}

impl Encode for Head {
    fn encode(&self, bytes: &mut [u8]) {
        self.inventory.encode_head(self.index, bytes);
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({})", self.index)
    }
}
