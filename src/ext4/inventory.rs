//! The files of a tree, numbered: what each needs, before anything has a place.

use std::fmt;

use super::directory::{self, Directory, Entry};
use super::format::file_type;
use super::inode::{SHORT_SYMLINK, TIME_RANGE};
use super::options::HashSeed;
use super::units::{InodeNumber, blocks_of};
use super::xattr::{Placed, XattrError};
use crate::tree::{Kind, Metadata, Name, Node, NodeId, Timestamp, Tree};

/// Every file, in the order in which a walk meets them: a directory, then its entries
/// with all below them. Blocks are laid out in the same order.
#[derive(Debug)]
pub(super) struct Inventory {
    files: Vec<File>,
    /// By node.
    numbers: Vec<Option<InodeNumber>>,
}

/// A file and what it needs.
#[derive(Debug)]
pub(super) struct File {
    pub number: InodeNumber,
    pub node: NodeId,
    /// The directory that names it; of several, the first.
    pub parent: InodeNumber,
    /// Names, `.` and `..` among them.
    pub links: u32,
    /// Blocks of content, or of entries.
    pub content_blocks: u64,
    /// Whether it has extended attributes that do not fit into the inode.
    pub xattr_block: bool,
}

/// Why a tree cannot be an ext4 filesystem: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ext4 cannot hold {path}: {reason}")]
pub struct UnfitFile {
    /// Its path in the image.
    pub path: String,
    /// What is wrong with it.
    pub reason: Unfit,
}

/// Why ext4 cannot hold a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A regular file with more blocks than an extent can count.
    #[error("it has {size} bytes, and a file at most {}", Inventory::MAX_FILE_SIZE)]
    FileSize {
        /// Bytes.
        size: u64,
    },
    /// A directory whose names would need a third level of index.
    #[error(
        "the directory has {entries} entries, more than an index of two levels can hold; spread them over several directories"
    )]
    Entries {
        /// Names.
        entries: usize,
    },
    /// A symlink with no target, or one longer than a path.
    #[error(
        "the symlink's target has {length} bytes; it must have 1 to {}",
        Inventory::MAX_SYMLINK
    )]
    SymlinkLength {
        /// Bytes.
        length: usize,
    },
    /// A file with more names than `i_links_count` can count.
    #[error("it has more than {} hard links", Inventory::MAX_LINKS)]
    Links,
    /// A directory with two names.
    #[error("it is a directory that has another name already")]
    DirectoryLink,
    /// A time that no inode can hold.
    #[error("its time is {seconds} seconds from 1970; an inode holds {} (1901) to {} (2446)", TIME_RANGE.start(), TIME_RANGE.end())]
    Time {
        /// Seconds from 1970.
        seconds: i64,
    },
    /// Extended attributes that cannot be stored.
    #[error(transparent)]
    Xattrs(#[from] XattrError),
    /// `/lost+found` is taken.
    #[error("e2fsck needs a directory there")]
    LostAndFound,
}

/// Where e2fsck puts files that it finds without a name.
const LOST_AND_FOUND: &[u8] = b"lost+found";
/// Blocks of it, so that e2fsck need not allocate any: as mke2fs has it.
const LOST_AND_FOUND_BLOCKS: u64 = 4;

impl Inventory {
    /// Bytes of the largest file: extents count blocks with 32 bits, of which the last
    /// number is kept for the end.
    pub(super) const MAX_FILE_SIZE: u64 = (u32::MAX as u64 - 1) * super::units::BLOCK_BYTES;
    /// Bytes of the longest symlink: a path and its NUL fit into a page.
    pub(super) const MAX_SYMLINK: usize = 4095;
    /// Names of a file; a directory with more says that it has one.
    pub(super) const MAX_LINKS: u32 = 65_000;

    /// Numbers the files of `tree`, which is given a `/lost+found` if it has none.
    pub(super) fn new(tree: &mut Tree, seed: HashSeed, time: Timestamp) -> Result<Self, UnfitFile> {
        let lost_and_found = ensure_lost_and_found(tree, time)?;
        let tree = &*tree;
        let mut inventory = Self {
            files: Vec::with_capacity(tree.len()),
            numbers: vec![None; tree.len()],
        };
        let mut path = Path::default();
        let at = |path: &Path<'_>, reason| UnfitFile {
            path: path.to_string(),
            reason,
        };

        inventory
            .add(tree, Tree::ROOT, InodeNumber::ROOT, seed)
            .map_err(|reason| at(&path, reason))?;
        inventory
            .add(tree, lost_and_found, InodeNumber::ROOT, seed)
            .map_err(|reason| at(&path, reason))?;
        let lost_and_found = &mut inventory.files[1];
        lost_and_found.content_blocks = lost_and_found.content_blocks.max(LOST_AND_FOUND_BLOCKS);

        let mut open = vec![(InodeNumber::ROOT, tree.entries(Tree::ROOT))];
        while let Some((parent, entries)) = open.last_mut() {
            let parent = *parent;
            let Some((name, node)) = entries.next() else {
                open.pop();
                path.leave();
                continue;
            };
            path.enter(name);
            let known = inventory.numbers[node.index()];
            let number = match known {
                Some(number) if number != InodeNumber::FIRST || parent != InodeNumber::ROOT => {
                    inventory
                        .add_link(tree, number)
                        .map_err(|reason| at(&path, reason))?;
                    path.leave();
                    continue;
                }
                Some(number) => number,
                None => inventory
                    .add(tree, node, parent, seed)
                    .map_err(|reason| at(&path, reason))?,
            };
            if tree.node(node).is_directory() {
                let links = &mut inventory.file_mut(parent).links;
                *links += 1;
                open.push((number, tree.entries(node)));
            } else {
                path.leave();
            }
        }
        Ok(inventory)
    }

    /// All files, in order of their numbers.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// The highest number in use.
    pub(super) fn last_number(&self) -> InodeNumber {
        number_at(self.files.len() - 1)
    }

    /// The file with `number`; nothing for a reserved one.
    pub(super) fn file(&self, number: InodeNumber) -> Option<(usize, &File)> {
        let index = index_of(number)?;
        Some((index, self.files.get(index)?))
    }

    /// What the blocks of the directory `file` say.
    pub(super) fn directory<'a>(&self, tree: &'a Tree, file: &File) -> Directory<'a> {
        let entries = tree
            .entries(file.node)
            .map(|(name, node)| Entry {
                name: name.as_bytes(),
                inode: self.numbers[node.index()].expect("every node that has a name was numbered"),
                file_type: file_type_of(tree.node(node)),
            })
            .collect();
        Directory {
            number: file.number,
            parent: file.parent,
            entries,
        }
    }

    fn add(
        &mut self,
        tree: &Tree,
        node: NodeId,
        parent: InodeNumber,
        seed: HashSeed,
    ) -> Result<InodeNumber, Unfit> {
        let number = number_at(self.files.len());
        let Node { metadata, kind } = tree.node(node);
        self.numbers[node.index()] = Some(number);
        self.files.push(File {
            number,
            node,
            parent,
            // A directory is named by `.` too.
            links: if matches!(kind, Kind::Directory(_)) {
                2
            } else {
                1
            },
            content_blocks: content_blocks(kind, seed)?,
            xattr_block: needs_xattr_block(metadata)?,
        });
        Ok(number)
    }

    /// Counts one more name of a file that was met before.
    fn add_link(&mut self, tree: &Tree, number: InodeNumber) -> Result<(), Unfit> {
        let file = self.file_mut(number);
        if tree.node(file.node).is_directory() {
            return Err(Unfit::DirectoryLink);
        }
        file.links += 1;
        if file.links > Self::MAX_LINKS {
            return Err(Unfit::Links);
        }
        Ok(())
    }

    fn file_mut(&mut self, number: InodeNumber) -> &mut File {
        let index = index_of(number).expect("no reserved inode has a name");
        &mut self.files[index]
    }
}

/// The root is inode 2; the others follow the reserved ones.
fn number_at(index: usize) -> InodeNumber {
    match u32::try_from(index).expect("a tree has at most 2^32 nodes") {
        0 => InodeNumber::ROOT,
        index => InodeNumber(InodeNumber::FIRST.0 - 1 + index),
    }
}

fn index_of(number: InodeNumber) -> Option<usize> {
    if number == InodeNumber::ROOT {
        return Some(0);
    }
    Some((number.0.checked_sub(InodeNumber::FIRST.0)? + 1) as usize)
}

fn ensure_lost_and_found(tree: &mut Tree, time: Timestamp) -> Result<NodeId, UnfitFile> {
    let name = Name::new(LOST_AND_FOUND).expect("it is a name");
    let node = match tree.lookup(Tree::ROOT, &name) {
        Some(node) => node,
        None => tree
            .insert(
                Tree::ROOT,
                name,
                Node::directory(Metadata::of_root(0o700, time)),
            )
            .expect("nothing has the name yet"),
    };
    if tree.node(node).is_directory() {
        Ok(node)
    } else {
        Err(UnfitFile {
            path: "/lost+found".into(),
            reason: Unfit::LostAndFound,
        })
    }
}

fn content_blocks(kind: &Kind, seed: HashSeed) -> Result<u64, Unfit> {
    match kind {
        Kind::Directory(entries) => {
            directory::block_count(entries.keys().map(Name::as_bytes), seed).map_err(
                |directory::TooManyEntries| Unfit::Entries {
                    entries: entries.len(),
                },
            )
        }
        Kind::File(source) if source.length > Inventory::MAX_FILE_SIZE => Err(Unfit::FileSize {
            size: source.length,
        }),
        Kind::File(source) => Ok(blocks_of(source.length)),
        Kind::Symlink(target) => match target.len() {
            1..SHORT_SYMLINK => Ok(0),
            SHORT_SYMLINK..=Inventory::MAX_SYMLINK => Ok(1),
            length => Err(Unfit::SymlinkLength { length }),
        },
        Kind::CharacterDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => Ok(0),
    }
}

fn needs_xattr_block(metadata: &Metadata) -> Result<bool, Unfit> {
    let seconds = metadata.mtime.seconds;
    if !TIME_RANGE.contains(&seconds) {
        return Err(Unfit::Time { seconds });
    }
    match &metadata.xattrs {
        Some(xattrs) => Ok(Placed::new(xattrs)?.needs_block()),
        None => Ok(false),
    }
}

fn file_type_of(node: &Node) -> u8 {
    match node.kind {
        Kind::Directory(_) => file_type::DIRECTORY,
        Kind::File(_) => file_type::REGULAR,
        Kind::Symlink(_) => file_type::SYMLINK,
        Kind::CharacterDevice(_) => file_type::CHARACTER_DEVICE,
        Kind::BlockDevice(_) => file_type::BLOCK_DEVICE,
        Kind::Fifo => file_type::FIFO,
    }
}

/// Where a walk is, for errors.
#[derive(Default)]
struct Path<'a>(Vec<&'a Name>);

impl<'a> Path<'a> {
    fn enter(&mut self, name: &'a Name) {
        self.0.push(name);
    }

    fn leave(&mut self) {
        self.0.pop();
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0
            .iter()
            .try_for_each(|name| write!(f, "/{}", String::from_utf8_lossy(name.as_bytes())))
    }
}
