//! From a layout to pieces: every structure of the filesystem at its place, made when
//! it is written, by whichever thread writes it.

use std::fmt;
use std::sync::Arc;

use super::checksum::Checksum;
use super::directory;
use super::extent::{Extent, ExtentTree, extents};
use super::format::{SUPERBLOCK_OFFSET, mode};
use super::geometry::Run;
use super::group::{self, Usage};
use super::inode::{self, Fields, Map, SHORT_SYMLINK};
use super::inventory::{File, Inventory};
use super::layout::{Allocation, Layout};
use super::options::Options;
use super::resize;
use super::units::{
    BLOCK_BYTES, BLOCK_SIZE, Block, Group, INODE_SIZE, INODES_PER_BLOCK, InodeNumber, Rank,
};
use super::{journal, superblock, xattr};
use crate::image::{Content, Encode, Piece, Pieces};
use crate::source::Source;
use crate::tree::{Kind, Metadata, Node, Timestamp, Tree};

/// A filesystem whose parts all have their places.
#[derive(Debug)]
pub(super) struct Filesystem {
    tree: Tree,
    options: Options,
    inventory: Inventory,
    layout: Layout,
    usage: Vec<Usage>,
    checksum: Checksum,
}

impl Filesystem {
    pub(super) fn new(tree: Tree, options: Options, inventory: Inventory, layout: Layout) -> Self {
        Self {
            usage: group::usage(&layout, &inventory, &tree),
            checksum: Checksum::of_filesystem(options.uuid),
            tree,
            options,
            inventory,
            layout,
        }
    }

    /// The image.
    pub(super) fn into_pieces(self) -> Pieces {
        let size = Block(self.layout.blocks).offset();
        let filesystem = Arc::new(self);
        let mut pieces = Vec::new();
        add_superblocks(&filesystem, &mut pieces);
        add_group_metadata(&filesystem, &mut pieces);
        add_resize_inode(&filesystem, &mut pieces);
        add_journal(&filesystem, &mut pieces);
        for (index, file) in filesystem.inventory.files().iter().enumerate() {
            add_file(&filesystem, index, file, &mut pieces);
        }
        Pieces::new(size, pieces)
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_seconds(self.options.time.into())
    }

    /// The blocks of the content and extent tree of the file at `index`.
    fn allocation(&self, index: usize, file: &File) -> Allocation {
        Allocation::new(
            &self.layout.geometry,
            self.layout.files[index],
            file.content_blocks,
        )
    }

    /// The block of extended attributes of the file at `index`, if it has one.
    fn xattr_block(&self, index: usize, file: &File) -> Option<Block> {
        let rank = self.allocation(index, file).end();
        file.xattr_block.then(|| self.layout.geometry.block(rank))
    }

    fn content_runs(&self, allocation: Allocation) -> impl Iterator<Item = Run> {
        self.layout
            .geometry
            .runs(allocation.first, allocation.content_blocks)
    }

    fn tree_runs(&self, allocation: Allocation) -> impl Iterator<Item = Run> {
        let first = allocation.first.after(allocation.content_blocks);
        self.layout.geometry.runs(first, allocation.tree_blocks)
    }

    fn extent_tree(&self, number: InodeNumber, allocation: Allocation) -> ExtentTree {
        let extents: Vec<Extent> = extents(self.content_runs(allocation)).collect();
        let nodes: Vec<Block> = self
            .tree_runs(allocation)
            .flat_map(|run| (0..run.length).map(move |i| Block(run.start.0 + i)))
            .collect();
        ExtentTree::encode(&extents, &nodes, self.checksum.of_inode(number))
    }

    fn superblock(&self, group: Group) -> [u8; 1024] {
        let shape = self.layout.geometry.shape();
        let journal = self.layout.journal;
        let free_blocks = self.usage.iter().map(|usage| usage.free_blocks).sum();
        let facts = superblock::Facts {
            blocks: self.layout.blocks,
            free_blocks,
            free_inodes: shape.groups * shape.inodes_per_group - self.inventory.last_number().0,
            overhead_blocks: self.layout.blocks - self.layout.used_ranks - free_blocks
                + journal.content_blocks,
            journal_map: self.extent_tree(InodeNumber::JOURNAL, journal).root,
            journal_size: journal.content_blocks * BLOCK_BYTES,
        };
        superblock::encode(shape, &self.options, &facts, group)
    }

    fn encode_inode(&self, number: InodeNumber, bytes: &mut [u8]) {
        match number {
            InodeNumber::RESIZE => self.encode_resize_inode(bytes),
            InodeNumber::JOURNAL => self.encode_journal_inode(bytes),
            _ => {
                if let Some((index, file)) = self.inventory.file(number) {
                    self.encode_file_inode(index, file, bytes);
                }
            }
        }
    }

    fn encode_file_inode(&self, index: usize, file: &File, bytes: &mut [u8]) {
        let Node { metadata, kind } = self.tree.node(file.node);
        let allocation = self.allocation(index, file);
        let extents = |indexed| Map::Extents {
            root: self.extent_tree(file.number, allocation).root,
            indexed,
        };
        let (file_type, size, map) = match kind {
            Kind::Directory(_) => {
                let indexed =
                    directory::is_indexed(file.content_blocks) && file.number != InodeNumber::FIRST;
                (
                    mode::DIRECTORY,
                    file.content_blocks * BLOCK_BYTES,
                    extents(indexed),
                )
            }
            Kind::File(source) => (mode::REGULAR, source.length, extents(false)),
            Kind::Symlink(target) => (
                mode::SYMLINK,
                target.len() as u64,
                match target.len() {
                    0..SHORT_SYMLINK => Map::Other(padded(target)),
                    _ => extents(false),
                },
            ),
            Kind::CharacterDevice(number) => (
                mode::CHARACTER_DEVICE,
                0,
                Map::Other(inode::encode_device(*number)),
            ),
            Kind::BlockDevice(number) => (
                mode::BLOCK_DEVICE,
                0,
                Map::Other(inode::encode_device(*number)),
            ),
            Kind::Fifo => (mode::FIFO, 0, Map::Other([0; 60])),
        };
        let fields = Fields {
            mode: file_type | metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: metadata.mtime,
            time: self.time(),
            links: links_count(file, kind),
            size,
            blocks: file.content_blocks + allocation.tree_blocks + u64::from(file.xattr_block),
            map,
            xattrs: &placed_xattrs(metadata),
            xattr_block: self.xattr_block(index, file),
        };
        fields.encode(self.checksum.of_inode(file.number), bytes);
    }

    fn encode_journal_inode(&self, bytes: &mut [u8]) {
        let journal = self.layout.journal;
        let root = self.extent_tree(InodeNumber::JOURNAL, journal).root;
        self.encode_internal_inode(
            InodeNumber::JOURNAL,
            journal.content_blocks * BLOCK_BYTES,
            journal.content_blocks + journal.tree_blocks,
            Map::Extents {
                root,
                indexed: false,
            },
            bytes,
        );
    }

    fn encode_resize_inode(&self, bytes: &mut [u8]) {
        let shape = self.layout.geometry.shape();
        if shape.reserved_descriptor_blocks() == 0 {
            return;
        }
        let map = resize::block_map(self.layout.geometry.block(Rank(0)));
        self.encode_internal_inode(
            InodeNumber::RESIZE,
            resize::SIZE,
            resize::block_count(shape),
            Map::Other(map),
            bytes,
        );
    }

    fn encode_internal_inode(
        &self,
        number: InodeNumber,
        size: u64,
        blocks: u64,
        map: Map,
        bytes: &mut [u8],
    ) {
        let fields = Fields {
            mode: mode::REGULAR | 0o600,
            uid: 0,
            gid: 0,
            mtime: self.time(),
            time: self.time(),
            links: 1,
            size,
            blocks,
            map,
            xattrs: &xattr::Placed::default(),
            xattr_block: None,
        };
        fields.encode(self.checksum.of_inode(number), bytes);
    }
}

/// The superblock and the descriptors of each group that has them, and behind the
/// descriptors the blocks into which they can grow.
fn add_superblocks(filesystem: &Arc<Filesystem>, pieces: &mut Vec<Piece>) {
    let layout = &filesystem.layout;
    let shape = layout.geometry.shape();
    let descriptors: Arc<[u8]> =
        group::encode_descriptors(layout, &filesystem.usage, filesystem.checksum).into();
    for group in shape.superblock_groups() {
        let start = group.start();
        let primary = group.0 == 0;
        let mut block = vec![0; BLOCK_SIZE];
        let at = if primary { SUPERBLOCK_OFFSET } else { 0 };
        block[at..at + 1024].copy_from_slice(&filesystem.superblock(group));
        pieces.push(piece(Run { start, length: 1 }, bytes(block)));
        let run = Run {
            start: Block(start.0 + 1),
            length: shape.descriptor_blocks().into(),
        };
        pieces.push(piece(run, bytes(descriptors.clone())));
        let reserved = Run {
            start: Block(run.start.0 + run.length),
            length: shape.reserved_descriptor_blocks().into(),
        };
        let content = if primary {
            Content::Encoded(Arc::new(resize::Reserved(shape)))
        } else {
            Content::Zeros
        };
        pieces.push(piece(reserved, content));
    }
}

/// Bitmaps and inode tables, as far as they are not left to the kernel.
fn add_group_metadata(filesystem: &Arc<Filesystem>, pieces: &mut Vec<Piece>) {
    for (group, usage) in (0..).map(Group).zip(&filesystem.usage) {
        let places = filesystem.layout.geometry.metadata(group);
        let mut add = |start, length, what| {
            pieces.push(piece(Run { start, length }, structure(filesystem, what)));
        };
        if !usage.block_bitmap_implied {
            add(places.block_bitmap, 1, Structure::BlockBitmap(group));
        }
        if usage.used_inodes > 0 {
            add(places.inode_bitmap, 1, Structure::InodeBitmap(group));
            let blocks = usage.used_inodes.div_ceil(INODES_PER_BLOCK);
            add(
                places.inode_table,
                blocks.into(),
                Structure::InodeTable(group),
            );
        }
    }
}

fn add_resize_inode(filesystem: &Arc<Filesystem>, pieces: &mut Vec<Piece>) {
    let shape = filesystem.layout.geometry.shape();
    if shape.reserved_descriptor_blocks() > 0 {
        let run = Run {
            start: filesystem.layout.geometry.block(Rank(0)),
            length: 1,
        };
        pieces.push(piece(
            run,
            Content::Encoded(Arc::new(resize::DoubleIndirect(shape))),
        ));
    }
}

fn add_journal(filesystem: &Arc<Filesystem>, pieces: &mut Vec<Piece>) {
    let journal = filesystem.layout.journal;
    let mut runs = filesystem.content_runs(journal);
    let first = runs.next().expect("a journal has blocks");
    let superblock = journal::Superblock {
        uuid: filesystem.options.uuid,
        blocks: u32::try_from(journal.content_blocks).expect("a journal has at most 2^18 blocks"),
    };
    let (head, rest) = first.split_at(1);
    pieces.push(piece(head, Content::Encoded(Arc::new(superblock))));
    pieces.extend(
        [rest]
            .into_iter()
            .chain(runs)
            .map(|run| piece(run, Content::Zeros)),
    );
    add_runs(
        filesystem.tree_runs(journal),
        &structure(
            filesystem,
            Structure::ExtentTree {
                number: InodeNumber::JOURNAL,
                allocation: journal,
            },
        ),
        journal.tree_blocks,
        pieces,
    );
}

/// The blocks of a file: content, extent tree, extended attributes.
fn add_file(filesystem: &Arc<Filesystem>, index: usize, file: &File, pieces: &mut Vec<Piece>) {
    let allocation = filesystem.allocation(index, file);
    let content = match &filesystem.tree.node(file.node).kind {
        Kind::Directory(_) => Some(structure(filesystem, Structure::Directory(index))),
        Kind::File(source) => Some(Content::Source {
            source: source.clone(),
            skip: 0,
        }),
        Kind::Symlink(target) => Some(bytes(&**target)),
        Kind::CharacterDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => None,
    };
    if let Some(content) = content {
        add_runs(
            filesystem.content_runs(allocation),
            &content,
            allocation.content_blocks,
            pieces,
        );
    }
    if allocation.tree_blocks > 0 {
        let tree = structure(
            filesystem,
            Structure::ExtentTree {
                number: file.number,
                allocation,
            },
        );
        add_runs(
            filesystem.tree_runs(allocation),
            &tree,
            allocation.tree_blocks,
            pieces,
        );
    }
    if let Some(start) = filesystem.xattr_block(index, file) {
        let content = structure(filesystem, Structure::XattrBlock { index, at: start });
        pieces.push(piece(Run { start, length: 1 }, content));
    }
}

/// Lays `content`, of `blocks` in all, into the runs that make them up.
fn add_runs(
    runs: impl Iterator<Item = Run>,
    content: &Content,
    blocks: u64,
    pieces: &mut Vec<Piece>,
) {
    let mut done = 0;
    for run in runs {
        let part = if run.length == blocks {
            content.clone()
        } else {
            content.part(done * BLOCK_BYTES, blocks * BLOCK_BYTES)
        };
        pieces.push(piece(run, part));
        done += run.length;
    }
}

fn piece(run: Run, content: Content) -> Piece {
    Piece {
        offset: run.start.offset(),
        length: run.length * BLOCK_BYTES,
        content,
    }
}

/// A structure that is made when it is written.
struct Deferred {
    filesystem: Arc<Filesystem>,
    what: Structure,
}

#[derive(Clone, Copy, Debug)]
enum Structure {
    BlockBitmap(Group),
    InodeBitmap(Group),
    InodeTable(Group),
    /// By place in the inventory.
    Directory(usize),
    ExtentTree {
        number: InodeNumber,
        allocation: Allocation,
    },
    /// By place in the inventory.
    XattrBlock {
        index: usize,
        at: Block,
    },
}

impl Encode for Deferred {
    fn encode(&self, bytes: &mut [u8]) {
        let fs = &*self.filesystem;
        match self.what {
            Structure::BlockBitmap(group) => group::encode_block_bitmap(&fs.layout, group, bytes),
            Structure::InodeBitmap(group) => {
                group::encode_inode_bitmap(&fs.layout, fs.usage[group.index()], bytes);
            }
            Structure::InodeTable(group) => {
                let numbers = group::used_inodes(&fs.layout, group, fs.usage[group.index()]);
                for (number, bytes) in numbers.zip(bytes.chunks_exact_mut(INODE_SIZE)) {
                    fs.encode_inode(number, bytes);
                }
            }
            Structure::Directory(index) => {
                let file = &fs.inventory.files()[index];
                let directory = fs.inventory.directory(&fs.tree, file);
                directory::encode(
                    &directory,
                    fs.options.hash_seed,
                    fs.checksum.of_inode(file.number),
                    bytes,
                );
            }
            Structure::ExtentTree { number, allocation } => {
                bytes.copy_from_slice(&fs.extent_tree(number, allocation).nodes);
            }
            Structure::XattrBlock { index, at } => {
                let file = &fs.inventory.files()[index];
                let metadata = &fs.tree.node(file.node).metadata;
                placed_xattrs(metadata).encode_block(at, fs.checksum, bytes);
            }
        }
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

fn structure(filesystem: &Arc<Filesystem>, what: Structure) -> Content {
    Content::Encoded(Arc::new(Deferred {
        filesystem: filesystem.clone(),
        what,
    }))
}

fn bytes(bytes: impl Into<Arc<[u8]>>) -> Content {
    Content::Source {
        source: Source::bytes(bytes),
        skip: 0,
    }
}

fn placed_xattrs(metadata: &Metadata) -> xattr::Placed {
    match &metadata.xattrs {
        Some(xattrs) => xattr::Placed::new(xattrs).expect("the inventory placed them before"),
        None => xattr::Placed::default(),
    }
}

/// `i_links_count`: a directory with more names than can be counted says 1.
fn links_count(file: &File, kind: &Kind) -> u16 {
    match kind {
        Kind::Directory(_) if file.links > Inventory::MAX_LINKS => 1,
        _ => u16::try_from(file.links).expect("a file with more links was refused"),
    }
}

/// A short symlink's target, as `i_block` holds it.
fn padded(target: &[u8]) -> [u8; 60] {
    let mut block = [0; 60];
    block[..target.len()].copy_from_slice(target);
    block
}
