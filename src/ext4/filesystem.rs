//! A filesystem whose parts all have their places: what each structure says that
//! belongs to no file alone, and what each inode says.

use super::checksum::Checksum;
use super::extent::{Extent, ExtentTree, Mapped};
use super::features::Feature;
use super::format::mode;
use super::group::{self, DescriptorChecksum};
use super::inode::{self, Fields, Map, SHORT_SYMLINK};
use super::inventory::{File, Inventory, number_at};
use super::layout::{Allocation, Layout};
use super::options::Options;
use super::resize;
use super::units::{BLOCK_BYTES, Block, Group, InodeNumber, Rank};
use super::{Usage, superblock, xattr};
use crate::tree::{Kind, Metadata, Node, Tree};

/// A tree with all that was decided of it.
#[derive(Debug)]
pub(super) struct Filesystem {
    pub tree: Tree,
    pub options: Options,
    pub inventory: Inventory,
    pub layout: Layout,
    pub groups: Vec<group::Usage>,
    pub checksum: Checksum,
    pub descriptor_checksum: DescriptorChecksum,
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
            groups: group::usage(&layout, &inventory, &tree, descriptor_checksum),
            checksum,
            descriptor_checksum,
            tree,
            options,
            inventory,
            layout,
        }
    }

    /// The blocks of the content and extent tree of the file at `index`.
    pub(super) fn allocation(&self, index: usize, file: &File) -> Allocation {
        Allocation::new(
            &self.layout.geometry,
            self.layout.files[index],
            &file.content,
        )
    }

    /// The block of extended attributes of the file at `index`, if it has one.
    pub(super) fn xattr_block(&self, index: usize, file: &File) -> Option<Block> {
        let rank = self.allocation(index, file).end();
        file.xattr_block.then(|| self.layout.geometry.block(rank))
    }

    pub(super) fn extent_tree(
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

    /// What it has, and what of it is free.
    pub(super) fn usage(&self) -> Usage {
        let shape = self.layout.geometry.shape();
        let inodes = shape.groups * shape.inodes_per_group;
        Usage {
            blocks: self.layout.blocks,
            free_blocks: self.groups.iter().map(|group| group.free_blocks).sum(),
            inodes,
            free_inodes: inodes - self.inventory.last_number().0,
        }
    }

    pub(super) fn superblock(&self, group: Group) -> [u8; 1024] {
        let shape = self.layout.geometry.shape();
        let journal_blocks = self
            .layout
            .journal
            .map_or(0, |journal| journal.content_blocks);
        let Usage {
            free_blocks,
            free_inodes,
            ..
        } = self.usage();
        let features = self.options.features.clone();
        let facts = superblock::Facts {
            blocks: self.layout.blocks,
            free_blocks,
            free_inodes,
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

    pub(super) fn encode_inode(&self, number: InodeNumber, bytes: &mut [u8]) {
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
                .extent_tree(number_at(index), allocation, &file.content)
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
        fields.encode(self.checksum.of_inode(number_at(index)), bytes);
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

/// The extended attributes of a file, shared out between inode and block.
pub(super) fn placed_xattrs(metadata: &Metadata) -> xattr::Placed {
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
