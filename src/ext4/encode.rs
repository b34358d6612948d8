//! From a layout to pieces: every structure of the filesystem at its place, made when
//! it is written, by whichever thread writes it.

use std::fmt;
use std::sync::Arc;

use super::checksum::Checksum;
use super::directory;
use super::extent::{Extent, ExtentTree, Mapped};
use super::features::Feature;
use super::format::{SUPERBLOCK_OFFSET, mode};
use super::geometry::Run;
use super::group::{self, DescriptorChecksum, Usage};
use super::inode::{self, Fields, Map, SHORT_SYMLINK};
use super::inventory::{File, Inventory};
use super::layout::{Allocation, Layout};
use super::options::Options;
use super::resize;
use super::units::{
    BLOCK_BYTES, BLOCK_SIZE, Block, Group, INODE_SIZE, INODES_PER_BLOCK, InodeNumber, Rank,
};
use super::{journal, orphan, superblock, xattr};
use crate::image::{Content, Encode, Piece, Pieces};
use crate::source::Source;
use crate::tree::{Kind, Metadata, Node, Tree};

/// A filesystem whose parts all have their places.
#[derive(Debug)]
pub(super) struct Filesystem {
    tree: Tree,
    options: Options,
    inventory: Inventory,
    layout: Layout,
    usage: Vec<Usage>,
    checksum: Checksum,
    descriptor_checksum: DescriptorChecksum,
}

impl Filesystem {
    pub(super) fn new(tree: Tree, options: Options, inventory: Inventory, layout: Layout) -> Self {
        let checksum = if options.features.has(Feature::MetadataCsum) {
            Checksum::of_filesystem(options.uuid)
        } else {
            Checksum::NONE
        };
        let descriptor_checksum = match checksum.is_some() {
            true => DescriptorChecksum::Crc32c(checksum),
            false if options.features.has(Feature::UninitBg) => {
                DescriptorChecksum::Crc16(options.uuid)
            }
            false => DescriptorChecksum::None,
        };
        Self {
            usage: group::usage(&layout, &inventory, &tree, descriptor_checksum),
            checksum,
            descriptor_checksum,
            tree,
            options,
            inventory,
            layout,
        }
    }

    /// The image.
    pub(super) fn into_pieces(self) -> Pieces {
        let size = self.layout.image_size;
        let filesystem = Arc::new(self);
        let mut pieces = Vec::new();
        add_superblocks(&filesystem, &mut pieces);
        add_group_metadata(&filesystem, &mut pieces);
        add_resize_inode(&filesystem, &mut pieces);
        add_journal(&filesystem, &mut pieces);
        add_orphan_file(&filesystem, &mut pieces);
        for (index, file) in filesystem.inventory.files().iter().enumerate() {
            add_file(&filesystem, index, file, &mut pieces);
        }
        Pieces::new(size, pieces)
    }

    /// The blocks of the content and extent tree of the file at `index`.
    fn allocation(&self, index: usize, file: &File) -> Allocation {
        Allocation::new(
            &self.layout.geometry,
            self.layout.files[index],
            &file.content,
        )
    }

    /// The block of extended attributes of the file at `index`, if it has one.
    fn xattr_block(&self, index: usize, file: &File) -> Option<Block> {
        let rank = self.allocation(index, file).end();
        file.xattr_block.then(|| self.layout.geometry.block(rank))
    }

    fn extent_tree(
        &self,
        number: InodeNumber,
        allocation: Allocation,
        content: &Mapped,
    ) -> ExtentTree {
        let geometry = &self.layout.geometry;
        let extents: Vec<Extent> = allocation.extents(geometry, content).collect();
        let nodes: Vec<Block> = allocation
            .tree_runs(geometry)
            .flat_map(|run| (0..run.length).map(move |i| Block(run.start.0 + i)))
            .collect();
        ExtentTree::encode(&extents, &nodes, self.checksum.of_inode(number))
    }

    /// The extent tree of a file that belongs to the filesystem and has no holes.
    fn internal_extent_tree(&self, number: InodeNumber, allocation: Allocation) -> ExtentTree {
        self.extent_tree(number, allocation, &Mapped::All(allocation.content_blocks))
    }

    fn superblock(&self, group: Group) -> [u8; 1024] {
        let shape = self.layout.geometry.shape();
        let journal_blocks = self
            .layout
            .journal
            .map_or(0, |journal| journal.content_blocks);
        let free_blocks = self.usage.iter().map(|usage| usage.free_blocks).sum();
        let features = self.options.features.clone();
        let facts = superblock::Facts {
            blocks: self.layout.blocks,
            free_blocks,
            free_inodes: shape.groups * shape.inodes_per_group - self.inventory.last_number().0,
            overhead_blocks: self.layout.blocks - self.layout.used_ranks - free_blocks
                + journal_blocks,
            features: if shape.reserved_descriptor_blocks() > 0 {
                features
            } else {
                features.without(Feature::ResizeInode)
            },
            journal: self.layout.journal.map(|journal| superblock::JournalFacts {
                map: self
                    .internal_extent_tree(InodeNumber::JOURNAL, journal)
                    .root,
                size: journal.content_blocks * BLOCK_BYTES,
            }),
            orphan_file: self.inventory.orphan_file(),
        };
        superblock::encode(shape, &self.options, &facts, group)
    }

    fn encode_inode(&self, number: InodeNumber, bytes: &mut [u8]) {
        if let Some((index, file)) = self.inventory.file(number) {
            self.encode_file_inode(index, file, bytes);
        } else if number == InodeNumber::RESIZE {
            self.encode_resize_inode(bytes);
        } else if let Some((_, allocation)) = self
            .internal_files()
            .find(|(internal, _)| *internal == number)
        {
            let root = self.internal_extent_tree(number, allocation).root;
            self.encode_internal_inode(
                number,
                allocation.content_blocks * BLOCK_BYTES,
                allocation.content_blocks + allocation.tree_blocks,
                Map::Extents {
                    root,
                    indexed: false,
                },
                bytes,
            );
        }
    }

    /// The journal and the orphan file, as far as there are such.
    fn internal_files(&self) -> impl Iterator<Item = (InodeNumber, Allocation)> {
        let journal = self
            .layout
            .journal
            .map(|journal| (InodeNumber::JOURNAL, journal));
        let orphan_file = self.inventory.orphan_file().zip(self.layout.orphan_file);
        journal.into_iter().chain(orphan_file)
    }

    fn encode_file_inode(&self, index: usize, file: &File, bytes: &mut [u8]) {
        let Node { metadata, kind } = self.tree.node(file.node);
        let allocation = self.allocation(index, file);
        let extents = || Map::Extents {
            root: self
                .extent_tree(file.number, allocation, &file.content)
                .root,
            indexed: file.indexed,
        };
        let (file_type, size, map) = match kind {
            Kind::Directory(_) => (
                mode::DIRECTORY,
                file.content.blocks() * BLOCK_BYTES,
                extents(),
            ),
            Kind::File(source) => (mode::REGULAR, source.length, extents()),
            Kind::Symlink(target) => (
                mode::SYMLINK,
                target.len() as u64,
                match target.len() {
                    0..SHORT_SYMLINK => Map::Other(padded(target)),
                    _ => extents(),
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
            time: self.options.filesystem_time(),
            links: links_count(file, kind),
            size,
            blocks: allocation.content_blocks
                + allocation.tree_blocks
                + u64::from(file.xattr_block),
            map,
            xattrs: &placed_xattrs(metadata),
            xattr_block: self.xattr_block(index, file),
        };
        fields.encode(self.checksum.of_inode(file.number), bytes);
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
            mtime: self.options.filesystem_time(),
            time: self.options.filesystem_time(),
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
    let descriptors: Arc<[u8]> = group::encode_descriptors(
        layout,
        &filesystem.usage,
        filesystem.checksum,
        filesystem.descriptor_checksum,
    )
    .into();
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
        if !usage.inode_bitmap_implied() {
            add(places.inode_bitmap, 1, Structure::InodeBitmap(group));
        }
        let used_blocks = u64::from(usage.used_inodes.div_ceil(INODES_PER_BLOCK));
        add(
            places.inode_table,
            used_blocks,
            Structure::InodeTable(group),
        );
        if !usage.inodes_implied {
            let table = Run {
                start: places.inode_table,
                length: filesystem.layout.geometry.shape().inode_table_blocks(),
            };
            pieces.push(piece(table.split_at(used_blocks).1, Content::Zeros));
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
    let Some(journal) = filesystem.layout.journal else {
        return;
    };
    let mut runs = filesystem
        .layout
        .geometry
        .runs(journal.first, journal.content_blocks);
    let first = runs.next().expect("a journal has blocks");
    let superblock = journal::Superblock {
        uuid: filesystem.options.uuid,
        blocks: u32::try_from(journal.content_blocks)
            .expect("a journal has at most 10,240,000 blocks"),
    };
    let (head, rest) = first.split_at(1);
    pieces.push(piece(head, Content::Encoded(Arc::new(superblock))));
    pieces.extend(
        [rest]
            .into_iter()
            .chain(runs)
            .map(|run| piece(run, Content::Zeros)),
    );
    let content = Mapped::All(journal.content_blocks);
    add_extent_tree(filesystem, InodeNumber::JOURNAL, journal, &content, pieces);
}

fn add_orphan_file(filesystem: &Arc<Filesystem>, pieces: &mut Vec<Piece>) {
    let Some((number, allocation)) = filesystem
        .inventory
        .orphan_file()
        .zip(filesystem.layout.orphan_file)
    else {
        return;
    };
    let runs = filesystem
        .layout
        .geometry
        .runs(allocation.first, allocation.content_blocks);
    pieces.extend(runs.map(|run| {
        piece(
            run,
            structure(
                filesystem,
                Structure::OrphanFile {
                    number,
                    at: run.start,
                },
            ),
        )
    }));
    let content = Mapped::All(allocation.content_blocks);
    add_extent_tree(filesystem, number, allocation, &content, pieces);
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
        let whole = allocation.content_blocks * BLOCK_BYTES;
        for extent in allocation.extents(&filesystem.layout.geometry, &file.content) {
            let run = Run {
                start: extent.physical,
                length: extent.blocks.into(),
            };
            let skip = u64::from(extent.logical) * BLOCK_BYTES;
            pieces.push(piece(
                run,
                content.part(skip, run.length * BLOCK_BYTES, whole),
            ));
        }
    }
    add_extent_tree(filesystem, file.number, allocation, &file.content, pieces);
    if let Some(start) = filesystem.xattr_block(index, file) {
        let content = structure(filesystem, Structure::XattrBlock { index, at: start });
        pieces.push(piece(Run { start, length: 1 }, content));
    }
}

/// The nodes of an extent tree that are not in the inode.
fn add_extent_tree(
    filesystem: &Arc<Filesystem>,
    number: InodeNumber,
    allocation: Allocation,
    content: &Mapped,
    pieces: &mut Vec<Piece>,
) {
    if allocation.tree_blocks == 0 {
        return;
    }
    let nodes = bytes(filesystem.extent_tree(number, allocation, content).nodes);
    let mut skip = 0;
    for run in allocation.tree_runs(&filesystem.layout.geometry) {
        let length = run.length * BLOCK_BYTES;
        pieces.push(piece(
            run,
            nodes.part(skip, length, allocation.tree_blocks * BLOCK_BYTES),
        ));
        skip += length;
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
    /// Adjacent blocks of the file, the first of which stands at `at`.
    OrphanFile {
        number: InodeNumber,
        at: Block,
    },
    /// By place in the inventory.
    Directory(usize),
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
                    fs.options.directory_style(),
                    fs.checksum.of_inode(file.number),
                    bytes,
                );
            }
            Structure::OrphanFile { number, at } => {
                let checksum = fs.checksum.of_inode(number);
                for (block, bytes) in (at.0..).map(Block).zip(bytes.chunks_exact_mut(BLOCK_SIZE)) {
                    orphan::encode_block(block, checksum, bytes);
                }
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
