//! The files of a tree, numbered: what each needs, before anything has a place.

use std::fmt;

use super::directory::{self, Directory, Entry};
use super::extent::Mapped;
use super::features::Feature;
use super::format::file_type;
use super::inode::{MISTAKEN_TIMES, SHORT_SYMLINK, TIME_RANGE};
use super::options::Options;
use super::units::{BLOCK_BYTES, InodeNumber, blocks_of};
use super::xattr::{Placed, XattrError};
use crate::source::Source;
use crate::tree::{Kind, Metadata, Name, Node, NodeId, Timestamp, Tree};

/// Every file, in the order in which a walk meets them: a directory, then its entries
/// with all below them. Blocks are laid out in the same order.
#[derive(Debug)]
pub(super) struct Inventory {
    files: Vec<File>,
    /// By node; the one that no inode has while a node has none.
    numbers: Vec<InodeNumber>,
    has_orphan_file: bool,
}

/// A file and what it needs. Its number is [`number_at`] its place.
#[derive(Debug)]
pub(super) struct File {
    pub node: NodeId,
    /// The directory that names it; of several, the first.
    pub parent: InodeNumber,
    /// Names, `.` and `..` among them.
    pub links: u32,
    /// Blocks of content, or of entries.
    pub content: Mapped,
    /// Whether it is a directory that is a hash tree.
    pub indexed: bool,
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
    #[error(
        "it has more than {} hard links; make some of its names files of their own",
        Inventory::MAX_LINKS
    )]
    Links,
    /// A directory with more subdirectories than `i_links_count` can count.
    #[error("it has more than {} subdirectories, which takes the feature dir_nlink", Inventory::MAX_LINKS - 2)]
    Subdirectories,
    /// A file with more blocks of 512 bytes than 32 bits can count.
    #[error("it has {size} bytes, and a file of 2 TiB or more takes the feature huge_file")]
    HugeFile {
        /// Bytes.
        size: u64,
    },
    /// A directory with two names.
    #[error("it is a directory that has another name already")]
    DirectoryLink,
    /// A time that no inode can hold.
    #[error("its time is {seconds} seconds from 1970; an inode holds {} (1901) to {} (2446)", TIME_RANGE.start(), TIME_RANGE.end())]
    Time {
        /// Seconds from 1970.
        seconds: i64,
    },
    /// A time that e2fsck would complain of.
    #[error("its time is {seconds} seconds from 1970; e2fsck takes the times from {} (2310) to {} (2378) for times before 1970 and wants to change them", MISTAKEN_TIMES.start, MISTAKEN_TIMES.end - 1)]
    MistakenTime {
        /// Seconds from 1970.
        seconds: i64,
    },
    /// More nanoseconds than a second has.
    #[error("its time has {nanoseconds} nanoseconds; a second has fewer than 1000000000")]
    Nanoseconds {
        /// Nanoseconds.
        nanoseconds: u32,
    },
    /// Bits that are no permissions.
    #[error("its mode is {mode:o}; permissions are at most 7777")]
    Mode {
        /// The mode.
        mode: u16,
    },
    /// A device number that the kernel has no room for.
    #[error("it is the device {major}:{minor}; the kernel has at most {MAX_MAJOR}:{MAX_MINOR}")]
    Device {
        /// The driver.
        major: u32,
        /// The device.
        minor: u32,
    },
    /// Extended attributes that cannot be stored.
    #[error(transparent)]
    Xattrs(#[from] XattrError),
    /// The root of the tree is a file.
    #[error("it is the root of a filesystem and must be a directory")]
    Root,
    /// `/lost+found` is taken.
    #[error("e2fsck needs a directory there; give it another name")]
    LostAndFound,
}

/// Bytes of the smallest file that has too many sectors for the low half of `i_blocks`.
const HUGE_FILE_SIZE: u64 = 2 << 40;

/// Device numbers have 12 bits for the driver and 20 for the device.
const MAX_MAJOR: u32 = (1 << 12) - 1;
const MAX_MINOR: u32 = (1 << 20) - 1;

/// Where e2fsck puts files that it finds without a name.
const LOST_AND_FOUND: &[u8] = b"lost+found";
/// Blocks of it, so that e2fsck need not allocate any: as mke2fs has it.
const LOST_AND_FOUND_BLOCKS: u64 = 4;

impl Inventory {
    /// Bytes of the largest file: extents count blocks with 32 bits, of which the last
    /// number is kept for the end.
    pub(super) const MAX_FILE_SIZE: u64 = (u32::MAX as u64 - 1) * BLOCK_BYTES;
    /// Bytes of the longest symlink: a path and its NUL fit into a page.
    pub(super) const MAX_SYMLINK: usize = 4095;
    /// Names of a file; a directory with more says that it has one.
    pub(super) const MAX_LINKS: u32 = 65_000;

    /// Numbers the files of `tree`, which is given a `/lost+found` if it has none.
    pub(super) fn new(tree: &mut Tree, options: &Options) -> Result<Self, UnfitFile> {
        let lost_and_found = ensure_lost_and_found(tree, options.filesystem_time())?;
        let mut walk = Walk {
            tree,
            options,
            inventory: Self {
                files: Vec::with_capacity(tree.len()),
                numbers: vec![NO_INODE; tree.len()],
                has_orphan_file: options.features.has(Feature::OrphanFile),
            },
            path: Path::default(),
        };
        walk.add(Tree::ROOT, InodeNumber::ROOT)?;
        let name = lost_and_found_name();
        walk.path.enter(&name);
        walk.add(lost_and_found, InodeNumber::ROOT)?;
        walk.path.leave();
        walk.inventory.files[1].leave_room();
        walk.descend(lost_and_found)?;
        Ok(walk.inventory)
    }

    /// All files, in order of their numbers.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// The highest number in use.
    pub(super) fn last_number(&self) -> InodeNumber {
        number_at(self.files.len() - usize::from(!self.has_orphan_file))
    }

    /// The number of the orphan file, which follows all others.
    pub(super) fn orphan_file(&self) -> Option<InodeNumber> {
        self.has_orphan_file.then(|| number_at(self.files.len()))
    }

    /// The file with `number`; nothing for a reserved one.
    pub(super) fn file(&self, number: InodeNumber) -> Option<(usize, &File)> {
        let index = index_of(number)?;
        Some((index, self.files.get(index)?))
    }

    /// What the blocks of the directory at `index` say.
    pub(super) fn directory<'a>(&self, tree: &'a Tree, index: usize) -> Directory<'a> {
        let file = &self.files[index];
        let entries = tree
            .entries(file.node)
            .map(|(name, node)| Entry {
                name: name.as_bytes(),
                inode: self.numbers[node.index()],
                file_type: file_type_of(tree.node(node)),
            })
            .collect();
        Directory {
            number: number_at(index),
            parent: file.parent,
            entries,
        }
    }

    fn file_mut(&mut self, number: InodeNumber) -> &mut File {
        let index = index_of(number).expect("no reserved inode has a name");
        &mut self.files[index]
    }
}

impl File {
    /// Gives `lost+found` empty blocks, for files that e2fsck finds; a hash tree has room
    /// in its leaves.
    fn leave_room(&mut self) {
        if !self.indexed {
            self.content = Mapped::All(self.content.blocks().max(LOST_AND_FOUND_BLOCKS));
        }
    }
}

/// A walk over a tree that numbers what it meets.
struct Walk<'a> {
    tree: &'a Tree,
    options: &'a Options,
    inventory: Inventory,
    path: Path<'a>,
}

impl Walk<'_> {
    /// Walks all of the tree. The root and `lost_and_found` have their numbers.
    fn descend(&mut self, lost_and_found: NodeId) -> Result<(), UnfitFile> {
        let mut numbered_only = Some(lost_and_found);
        let mut open = vec![(InodeNumber::ROOT, self.tree.entries(Tree::ROOT))];
        while let Some((parent, entries)) = open.last_mut() {
            let Some((name, node)) = entries.next() else {
                open.pop();
                self.path.leave();
                continue;
            };
            let parent = *parent;
            self.path.enter(name);
            let number = match self.inventory.numbers[node.index()] {
                NO_INODE => self.add(node, parent)?,
                number if numbered_only == Some(node) => {
                    numbered_only = None;
                    number
                }
                number => {
                    self.add_link(number)?;
                    self.path.leave();
                    continue;
                }
            };
            if self.tree.node(node).is_directory() {
                self.add_subdirectory(parent)?;
                open.push((number, self.tree.entries(node)));
            } else {
                self.path.leave();
            }
        }
        Ok(())
    }

    /// Numbers a file that the walk meets for the first time.
    fn add(&mut self, node: NodeId, parent: InodeNumber) -> Result<InodeNumber, UnfitFile> {
        let number = number_at(self.inventory.files.len());
        let Node { metadata, kind } = self.tree.node(node);
        let is_directory = matches!(kind, Kind::Directory(_));
        let file = || {
            let (content, indexed) = content(kind, self.options)?;
            Ok(File {
                node,
                parent,
                // A directory is named by `.` too.
                links: if is_directory { 2 } else { 1 },
                content,
                indexed,
                xattr_block: needs_xattr_block(metadata)?,
            })
        };
        let file = file().map_err(|reason| self.unfit(reason))?;
        self.inventory.numbers[node.index()] = number;
        self.inventory.files.push(file);
        Ok(number)
    }

    /// Counts one more name of a file that was met before.
    fn add_link(&mut self, number: InodeNumber) -> Result<(), UnfitFile> {
        let file = self.inventory.file_mut(number);
        file.links += 1;
        let (node, links) = (file.node, file.links);
        if self.tree.node(node).is_directory() {
            return Err(self.unfit(Unfit::DirectoryLink));
        }
        if links > Inventory::MAX_LINKS {
            return Err(self.unfit(Unfit::Links));
        }
        Ok(())
    }

    /// Counts the `..` of a directory in `parent`.
    fn add_subdirectory(&mut self, parent: InodeNumber) -> Result<(), UnfitFile> {
        let links = &mut self.inventory.file_mut(parent).links;
        *links += 1;
        if *links > Inventory::MAX_LINKS && !self.options.features.has(Feature::DirNlink) {
            self.path.leave();
            return Err(self.unfit(Unfit::Subdirectories));
        }
        Ok(())
    }

    fn unfit(&self, reason: Unfit) -> UnfitFile {
        UnfitFile {
            path: self.path.to_string(),
            reason,
        }
    }
}

/// What an entry says that names nothing.
const NO_INODE: InodeNumber = InodeNumber(0);

/// The number of the file at `index` of an inventory: the root is inode 2, the others follow
/// the reserved ones.
pub(super) fn number_at(index: usize) -> InodeNumber {
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

fn lost_and_found_name() -> Name {
    Name::new(LOST_AND_FOUND).expect("it is a name")
}

fn ensure_lost_and_found(tree: &mut Tree, time: Timestamp) -> Result<NodeId, UnfitFile> {
    if !tree.node(Tree::ROOT).is_directory() {
        return Err(UnfitFile {
            path: "/".into(),
            reason: Unfit::Root,
        });
    }
    let name = lost_and_found_name();
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

/// What a file's content takes, and whether it is a hash tree.
fn content(kind: &Kind, options: &Options) -> Result<(Mapped, bool), Unfit> {
    let blocks = match kind {
        Kind::Directory(entries) => {
            let names = entries.keys().map(Name::as_bytes);
            let size = directory::size(names, options.directory_style()).map_err(
                |directory::TooManyEntries| Unfit::Entries {
                    entries: entries.len(),
                },
            )?;
            return Ok((Mapped::All(size.blocks), size.indexed));
        }
        Kind::File(source) => return Ok((file_content(source, options)?, false)),
        Kind::Symlink(target) => match target.len() {
            1..SHORT_SYMLINK => 0,
            SHORT_SYMLINK..=Inventory::MAX_SYMLINK => 1,
            length => return Err(Unfit::SymlinkLength { length }),
        },
        Kind::CharacterDevice(number) | Kind::BlockDevice(number) => {
            if number.major > MAX_MAJOR || number.minor > MAX_MINOR {
                return Err(Unfit::Device {
                    major: number.major,
                    minor: number.minor,
                });
            }
            0
        }
        Kind::Fifo => 0,
    };
    Ok((Mapped::All(blocks), false))
}

fn file_content(source: &Source, options: &Options) -> Result<Mapped, Unfit> {
    let size = source.length;
    if size > Inventory::MAX_FILE_SIZE {
        return Err(Unfit::FileSize { size });
    }
    if size >= HUGE_FILE_SIZE && !options.features.has(Feature::HugeFile) {
        return Err(Unfit::HugeFile { size });
    }
    Ok(match &source.data {
        None => Mapped::All(blocks_of(size)),
        Some(ranges) => Mapped::Ranges(
            ranges
                .iter()
                .map(|range| range.start / BLOCK_BYTES..blocks_of(range.end))
                .collect(),
        ),
    })
}

/// Whether extended attributes need a block, if the inode can hold the rest.
fn needs_xattr_block(metadata: &Metadata) -> Result<bool, Unfit> {
    if metadata.mode & !0o7777 != 0 {
        return Err(Unfit::Mode {
            mode: metadata.mode,
        });
    }
    if metadata.mtime.nanoseconds >= 1_000_000_000 {
        return Err(Unfit::Nanoseconds {
            nanoseconds: metadata.mtime.nanoseconds,
        });
    }
    let seconds = metadata.mtime.seconds;
    if !TIME_RANGE.contains(&seconds) {
        return Err(Unfit::Time { seconds });
    }
    if MISTAKEN_TIMES.contains(&seconds) {
        return Err(Unfit::MistakenTime { seconds });
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
