//! Reading a NAR where it lies: a tree whose files are ranges of it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::MAGIC;
use crate::source::{Container, Origin, Source};
use crate::store::StorePath;
use crate::store::stream::{Reader, StreamError};
use crate::tree::{Metadata, Name, NameError, Node, NodeId, Timestamp, Tree};

/// Reads the NAR that begins where `range` does and ends in it. The tree is as a
/// [`scan`](crate::store::scan()) makes it, but that its files lie in the container, where
/// their bytes are left unread. Also gives the byte after the NAR.
pub fn read_tree(
    container: &Arc<Container>,
    range: Range<u64>,
    mtime: Timestamp,
) -> Result<(Tree, u64), NarReadError> {
    let read = |file: &File| {
        let mut reader = Reader::new(file, range.start, range.end);
        let tree = read_tree_from(&mut reader, container, mtime);
        Ok(tree.map(|tree| (tree, reader.position())))
    };
    container.with_file(read).map_err(NarReadError::Open)?
}

/// Bytes that are no NAR, or cannot be read. Offsets count from the start of the
/// container, or of what was unpacked from it.
#[derive(Debug, thiserror::Error)]
pub enum NarReadError {
    /// The container cannot be opened.
    #[error("it cannot be opened")]
    Open(#[source] io::Error),
    /// Something that is no string, or is cut off.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The first string is not that of a NAR.
    #[error("byte {offset}: no NAR begins here; one begins with \"nix-archive-1\"")]
    Magic {
        /// Where it begins.
        offset: u64,
    },
    /// A string that the grammar does not have here.
    #[error("byte {offset}: {found:?} stands where a NAR has {expected}")]
    Token {
        /// Where it begins.
        offset: u64,
        /// What a NAR has there, as `"type"`.
        expected: &'static str,
        /// The string, for reading.
        found: String,
    },
    /// Bytes that are no name.
    #[error("byte {offset}: a NAR cannot hold this name")]
    Name {
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        source: NameError,
    },
    /// Names that do not rise.
    #[error(
        "byte {offset}: {name:?} follows {previous:?}; names of a NAR rise strictly in byte order"
    )]
    Order {
        /// Where the name begins.
        offset: u64,
        /// The name of the entry before.
        previous: Name,
        /// The name.
        name: Name,
    },
    /// A path that the kernel does not take.
    #[error(
        "byte {offset}: a path in the NAR has {length} bytes, more than {MAX_PATH_LENGTH}; none is longer in a store"
    )]
    Path {
        /// Where its last name begins.
        offset: u64,
        /// Its bytes, from the NAR's top.
        length: usize,
    },
    /// A target that is empty or holds a NUL byte.
    #[error(
        "byte {offset}: {target:?} is no target of a symlink; one has a byte at least, and no NUL"
    )]
    Target {
        /// Where it begins.
        offset: u64,
        /// The target, for reading.
        target: String,
    },
}

/// Bytes of the longest path in a NAR, as `/bin/hello`. The kernel takes 4,095, and before
/// it stands `/nix/store/`, a hash, a dash and a name of one character or more.
pub const MAX_PATH_LENGTH: usize =
    4095 - crate::store::STORE_DIRECTORY.len() - 1 - StorePath::HASH_LENGTH - 2;

/// Bytes of the longest target: as many as the kernel takes.
const MAX_TARGET_LENGTH: u64 = 4095;

/// Bytes of a string that the grammar knows; all of those have fewer.
const MAX_TOKEN_LENGTH: u64 = 64;

/// Reads the NAR that comes next in `container`.
pub(in crate::store) fn read_tree_from(
    reader: &mut Reader<'_>,
    container: &Arc<Container>,
    mtime: Timestamp,
) -> Result<Tree, NarReadError> {
    let offset = reader.position();
    match reader.string(MAX_TOKEN_LENGTH) {
        Ok(MAGIC) => {}
        Ok(_) | Err(StreamError::TooLong { .. } | StreamError::Padding { .. }) => {
            return Err(NarReadError::Magic { offset });
        }
        Err(error) => return Err(error.into()),
    }
    let mut parser = Parser {
        reader,
        container,
        mtime,
    };
    parser.tree()
}

struct Parser<'a, 'file> {
    reader: &'a mut Reader<'file>,
    container: &'a Arc<Container>,
    mtime: Timestamp,
}

/// A directory whose end is yet to come.
struct Open {
    id: NodeId,
    /// Bytes of its path.
    length: usize,
    /// The last name in it.
    last: Option<Name>,
}

impl Open {
    fn new(id: NodeId, length: usize) -> Self {
        Self {
            id,
            length,
            last: None,
        }
    }
}

impl Parser<'_, '_> {
    /// A node with all that is in it, without recursion: depth costs no stack.
    fn tree(&mut self) -> Result<Tree, NarReadError> {
        let mut tree = Tree::new(self.node()?);
        let mut open = Vec::new();
        if tree.node(Tree::ROOT).is_directory() {
            open.push(Open::new(Tree::ROOT, 0));
        }
        while let Some(directory) = open.last_mut() {
            if self.entry_follows()? {
                let (name, length) = self.begin_entry(directory)?;
                directory.last = Some(name.clone());
                let node = self.node()?;
                let is_directory = node.is_directory();
                let id = tree
                    .insert(directory.id, name, node)
                    .expect("names that rise are given once");
                if is_directory {
                    open.push(Open::new(id, length));
                } else {
                    self.expect(")")?;
                }
            } else {
                open.pop();
                if !open.is_empty() {
                    self.expect(")")?; // of the entry
                }
            }
        }
        Ok(tree)
    }

    /// A node, whole; but of a directory the beginning only.
    fn node(&mut self) -> Result<Node, NarReadError> {
        self.expect("(")?;
        self.expect("type")?;
        match self.token()? {
            (_, b"regular") => self.regular(),
            (_, b"symlink") => self.symlink(),
            (_, b"directory") => Ok(Node::directory(Metadata::of_root(0o555, self.mtime))),
            other => Err(unexpected("regular, symlink or directory", other)),
        }
    }

    fn regular(&mut self) -> Result<Node, NarReadError> {
        let mut expected = "executable, contents or )";
        let mut mode = 0o444;
        let mut content = (self.reader.position(), 0); // Nix once took a file without contents
        loop {
            match self.token()? {
                (_, b"executable") if mode == 0o444 => {
                    self.expect("")?;
                    mode = 0o555;
                    expected = "contents or )";
                }
                (_, b"contents") => {
                    content = self.reader.skip_string()?;
                    self.expect(")")?;
                    break;
                }
                (_, b")") => break,
                other => return Err(unexpected(expected, other)),
            }
        }
        let (offset, length) = content;
        let container = Arc::clone(self.container);
        let source = Source::new(length, Origin::Range { container, offset });
        Ok(Node::file(Metadata::of_root(mode, self.mtime), source))
    }

    fn symlink(&mut self) -> Result<Node, NarReadError> {
        self.expect("target")?;
        let offset = self.reader.position();
        let target = self.reader.string(MAX_TARGET_LENGTH)?;
        if target.is_empty() || target.contains(&0) {
            let target = String::from_utf8_lossy(target).into_owned();
            return Err(NarReadError::Target { offset, target });
        }
        let node = Node::symlink(Metadata::of_root(0o777, self.mtime), target);
        self.expect(")")?;
        Ok(node)
    }

    /// Whether an entry begins, or else the directory ends.
    fn entry_follows(&mut self) -> Result<bool, NarReadError> {
        match self.token()? {
            (_, b"entry") => Ok(true),
            (_, b")") => Ok(false),
            other => Err(unexpected("entry or )", other)),
        }
    }

    /// The name of the entry that has begun, and the length of its path.
    fn begin_entry(&mut self, directory: &Open) -> Result<(Name, usize), NarReadError> {
        self.expect("(")?;
        self.expect("name")?;
        let offset = self.reader.position();
        let bytes = self.reader.string(Name::MAX_LENGTH as u64)?;
        let name = Name::new(bytes).map_err(|source| NarReadError::Name { offset, source })?;
        if let Some(previous) = directory.last.as_ref().filter(|last| **last >= name) {
            let previous = previous.clone();
            return Err(NarReadError::Order {
                offset,
                previous,
                name,
            });
        }
        let length = directory.length + "/".len() + name.as_bytes().len();
        if length > MAX_PATH_LENGTH {
            return Err(NarReadError::Path { offset, length });
        }
        self.expect("node")?;
        Ok((name, length))
    }

    fn expect(&mut self, expected: &'static str) -> Result<(), NarReadError> {
        let token = self.token()?;
        if token.1 == expected.as_bytes() {
            return Ok(());
        }
        let expected = if expected.is_empty() {
            "an empty string"
        } else {
            expected
        };
        Err(unexpected(expected, token))
    }

    /// A string of the grammar, and where it begins.
    fn token(&mut self) -> Result<(u64, &[u8]), NarReadError> {
        let offset = self.reader.position();
        Ok((offset, self.reader.string(MAX_TOKEN_LENGTH)?))
    }
}

fn unexpected(expected: &'static str, (offset, found): (u64, &[u8])) -> NarReadError {
    NarReadError::Token {
        offset,
        expected,
        found: String::from_utf8_lossy(found).into_owned(),
    }
}

#[cfg(test)]
mod tests;
