//! From a filesystem to pieces: every structure at its place, made when it is written,
//! by whichever thread writes it.

use std::fmt;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use super::extent::Mapped;
use super::filesystem::{Filesystem, placed_xattrs};
use super::format::SUPERBLOCK_OFFSET;
use super::geometry::Run;
use super::inventory::{File, number_at};
use super::layout::{Allocation, first_inode};
use super::units::{
    BLOCK_BYTES, BLOCK_SIZE, Block, Group, INODE_SIZE, INODES_PER_BLOCK, InodeNumber, Rank,
};
use super::{directory, group, journal, orphan, resize};
use crate::image::{Content, Encode, Piece, Pieces};
use crate::source::Source;
use crate::tree::Kind;

/// Blocks of an inode table that are made at once: few enough for the cache of a core.
const TABLE_STEP: usize = 32;

/// Files of which one thread makes the pieces, at least.
const FILES_OF_A_THREAD: usize = 1 << 10;

/// The image of `filesystem`.
pub(super) fn pieces(filesystem: Filesystem) -> Pieces {
    let size = filesystem.layout.image_size;
    let filesystem = Arc::new(filesystem);
    let mut internal = Vec::new();
    add_superblocks(&filesystem, &mut internal);
    add_group_metadata(&filesystem, &mut internal);
    add_resize_inode(&filesystem, &mut internal);
    add_journal(&filesystem, &mut internal);
    add_orphan_file(&filesystem, &mut internal);
    Pieces::new(size, with_files(&filesystem, internal))
}

/// The superblock and the descriptors of each group that has them, and behind the
/// descriptors the blocks into which they can grow.
fn add_superblocks(filesystem: &Arc<Filesystem>, pieces: &mut Vec<Piece>) {
    let layout = &filesystem.layout;
    let shape = layout.geometry.shape();
    let descriptors: Arc<[u8]> = group::encode_descriptors(
        layout,
        &filesystem.groups,
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
        // In the copies nobody reads them before a resize writes the whole of a block.
        if primary {
            let reserved = Run {
                start: Block(run.start.0 + run.length),
                length: shape.reserved_descriptor_blocks().into(),
            };
            let content = Content::Encoded(Arc::new(resize::Reserved(shape)));
            pieces.push(piece(reserved, content));
        }
    }
}

/// Bitmaps and inode tables, as far as they are not left to the kernel.
fn add_group_metadata(filesystem: &Arc<Filesystem>, pieces: &mut Vec<Piece>) {
    let shape = filesystem.layout.geometry.shape();
    for (group, usage) in (0..).map(Group).zip(&filesystem.groups) {
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
        let used_blocks = usage.used_inodes.div_ceil(INODES_PER_BLOCK);
        let first_inode = first_inode(shape, group).0;
        for skip in (0..used_blocks).step_by(TABLE_STEP) {
            add(
                Block(places.inode_table.0 + u64::from(skip)),
                u64::from(used_blocks - skip).min(TABLE_STEP as u64),
                Structure::Inodes(InodeNumber(first_inode + skip * INODES_PER_BLOCK)),
            );
        }
        if !usage.inodes_implied {
            let table = Run {
                start: places.inode_table,
                length: shape.inode_table_blocks(),
            };
            let unused = table.split_at(used_blocks.into()).1;
            pieces.push(piece(unused, Content::Zeros));
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

/// The pieces of all files, made on all threads, and behind them the `internal` ones.
fn with_files(filesystem: &Arc<Filesystem>, internal: Vec<Piece>) -> Vec<Piece> {
    let files = filesystem.inventory.files();
    // Few files have more than one piece: all threads put the first of each at its place at once.
    let mut pieces = Vec::with_capacity(files.len() + files.len() / 16 + internal.len());
    let others = Mutex::new(internal);
    let no_panic = "no thread panics while it adds to them";
    files
        .par_iter()
        .enumerate()
        .with_min_len(FILES_OF_A_THREAD)
        .map_init(Vec::new, |of_file, (index, file)| {
            add_file(filesystem, index, file, of_file);
            let mut of_file = of_file.drain(..);
            let first = of_file.next().unwrap_or(NO_PIECE);
            if of_file.len() > 0 {
                others.lock().expect(no_panic).extend(of_file);
            }
            first
        })
        .collect_into_vec(&mut pieces);
    pieces.append(&mut others.into_inner().expect(no_panic));
    pieces
}

/// What stands for the piece of a file without any; [`Pieces::new`] leaves it out.
const NO_PIECE: Piece = Piece {
    offset: 0,
    length: 0,
    content: Content::Zeros,
};

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
    add_extent_tree(
        filesystem,
        number_at(index),
        allocation,
        &file.content,
        pieces,
    );
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
    /// Adjacent inodes of a group, from this one on.
    Inodes(InodeNumber),
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
                group::encode_inode_bitmap(&fs.layout, fs.groups[group.index()], bytes);
            }
            Structure::Inodes(first) => {
                for (bytes, number) in bytes.chunks_exact_mut(INODE_SIZE).zip(first.0..) {
                    fs.encode_inode(InodeNumber(number), bytes);
                }
            }
            Structure::Directory(index) => {
                let directory = fs.inventory.directory(&fs.tree, index);
                directory::encode(
                    &directory,
                    fs.options.directory_style(),
                    fs.checksum.of_inode(number_at(index)),
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
