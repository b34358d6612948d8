//! What a filesystem takes, and for what: each byte of it belongs to one figure.

use super::filesystem::Filesystem;
use super::inventory::File;
use super::layout::Allocation;
use super::units::BLOCK_BYTES;
use crate::source::Source;
use crate::tree::{Kind, NodeId};

/// Bytes of a filesystem by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// What all files take, beside their inodes.
    pub files: FileCosts,
    /// The superblock and its backups, each with the block that it is in.
    pub superblocks: u64,
    /// Group descriptors, and their backups.
    pub descriptors: u64,
    /// Blocks into which these can grow, for `resize_inode`.
    pub reserved_descriptors: u64,
    /// Bitmaps of blocks.
    pub block_bitmaps: u64,
    /// Bitmaps of inodes.
    pub inode_bitmaps: u64,
    /// Inodes, in use or free.
    pub inode_tables: u64,
    /// The journal.
    pub journal: u64,
    /// The orphan file.
    pub orphan_file: u64,
    /// Blocks that nobody has.
    pub free: u64,
    /// What is left behind the last block.
    pub rest: u64,
}

/// Bytes that a file, or several, take beside their inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCosts {
    /// Content of regular files, less holes, and targets of symlinks that do not fit into
    /// their inodes.
    pub content: u64,
    /// What is left of the last blocks of these.
    pub slack: u64,
    /// Entries of directories.
    pub directories: u64,
    /// Nodes of extent trees that are not in inodes.
    pub extent_trees: u64,
    /// Blocks of extended attributes.
    pub xattrs: u64,
}

impl Costs {
    /// The costs of `filesystem`; `each` is told those of each file, in the order of inodes.
    pub(super) fn of(filesystem: &Filesystem, mut each: impl FnMut(NodeId, FileCosts)) -> Self {
        let mut files = FileCosts::default();
        for (index, file) in filesystem.inventory.files().iter().enumerate() {
            let costs = file_costs(filesystem, index, file);
            files.add(costs);
            each(file.node, costs);
        }
        let layout = &filesystem.layout;
        let shape = layout.geometry.shape();
        let groups = u64::from(shape.groups);
        let copies = shape.superblock_groups().count() as u64;
        let reserved = u64::from(shape.reserved_descriptor_blocks());
        let double_indirect = u64::from(reserved > 0);
        Self {
            files,
            superblocks: copies * BLOCK_BYTES,
            descriptors: copies * u64::from(shape.descriptor_blocks()) * BLOCK_BYTES,
            reserved_descriptors: (copies * reserved + double_indirect) * BLOCK_BYTES,
            block_bitmaps: groups * BLOCK_BYTES,
            inode_bitmaps: groups * BLOCK_BYTES,
            inode_tables: groups * shape.inode_table_blocks() * BLOCK_BYTES,
            journal: layout.journal.map_or(0, bytes),
            orphan_file: layout.orphan_file.map_or(0, bytes),
            free: filesystem.usage().free_blocks * BLOCK_BYTES,
            rest: layout.image_size - layout.blocks * BLOCK_BYTES,
        }
    }

    /// All bytes: those of the image.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.files.total()
            + self.superblocks
            + self.descriptors
            + self.reserved_descriptors
            + self.block_bitmaps
            + self.inode_bitmaps
            + self.inode_tables
            + self.journal
            + self.orphan_file
            + self.free
            + self.rest
    }
}

impl FileCosts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.content + self.slack + self.directories + self.extent_trees + self.xattrs
    }

    fn add(&mut self, other: Self) {
        self.content += other.content;
        self.slack += other.slack;
        self.directories += other.directories;
        self.extent_trees += other.extent_trees;
        self.xattrs += other.xattrs;
    }
}

fn file_costs(filesystem: &Filesystem, index: usize, file: &File) -> FileCosts {
    let allocation = filesystem.allocation(index, file);
    let blocks = allocation.content_blocks * BLOCK_BYTES;
    let (content, directories) = match &filesystem.tree.node(file.node).kind {
        Kind::Directory(_) => (0, blocks),
        Kind::File(source) => (mapped_bytes(source), 0),
        Kind::Symlink(target) if blocks > 0 => (target.len() as u64, 0),
        _ => (0, 0),
    };
    FileCosts {
        content,
        slack: blocks - content - directories,
        directories,
        extent_trees: allocation.tree_blocks * BLOCK_BYTES,
        xattrs: u64::from(file.xattr_block) * BLOCK_BYTES,
    }
}

/// Bytes of a content that stand in blocks.
fn mapped_bytes(source: &Source) -> u64 {
    match &source.data {
        None => source.length,
        Some(ranges) => ranges.iter().map(|range| range.end - range.start).sum(),
    }
}

fn bytes(allocation: Allocation) -> u64 {
    (allocation.content_blocks + allocation.tree_blocks) * BLOCK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext4::{GrowTo, Image, Options, Uuid};
    use crate::tree::{Metadata, Name, Node, Timestamp, Tree};

    fn options() -> Options {
        Options::new(Uuid([7; 16]))
    }

    /// Files of all kinds that differ in what they take.
    fn tree() -> Tree {
        let metadata = |mode| Metadata::of_root(mode, Timestamp::from_seconds(1));
        let mut tree = Tree::new(Node::directory(metadata(0o755)));
        let name = |text: &str| Name::new(text).unwrap();
        let zeros = Source {
            data: Some(vec![0..4096, 8192..9000].into()),
            ..Source::bytes(vec![0; 9000])
        };
        let mut with_xattr = metadata(0o644);
        let value: Box<[u8]> = vec![1; 1000].into();
        with_xattr.xattrs = Some(Box::new(
            [(b"user.large".to_vec().into(), value)]
                .into_iter()
                .collect(),
        ));
        for (text, node) in [
            ("empty", Node::file(metadata(0o444), Source::bytes(vec![]))),
            (
                "file",
                Node::file(metadata(0o444), Source::bytes(vec![1; 5000])),
            ),
            ("long-link", Node::symlink(metadata(0o777), vec![b'x'; 100])),
            ("short-link", Node::symlink(metadata(0o777), vec![b'x'; 10])),
            ("sparse", Node::file(metadata(0o444), zeros)),
            ("xattr", Node::file(with_xattr, Source::bytes(vec![1]))),
        ] {
            tree.insert(Tree::ROOT, name(text), node).unwrap();
        }
        tree
    }

    fn costs(options: &Options) -> (u64, Costs, FileCosts) {
        let mut sum = FileCosts::default();
        let image = Image::new(tree(), options).unwrap();
        let costs = image.costs(|_, costs| sum.add(costs));
        (image.into_pieces().size(), costs, sum)
    }

    #[test]
    fn every_byte_belongs_to_one_figure() {
        for options in [
            options(),
            Options {
                size: Some((300 << 20) + 1234),
                ..options()
            },
            Options {
                size: Some(9 << 30),
                ..options()
            },
            Options {
                free_bytes: 0,
                free_inodes: 0,
                ..options()
            },
            Options {
                grow_to: GrowTo::try_from(1 << 20).unwrap(),
                ..options()
            },
        ] {
            let (size, costs, sum) = costs(&options);
            assert_eq!(costs.total(), size, "{costs:?}");
            assert_eq!(sum, costs.files);
        }
    }

    #[test]
    fn files_take_what_their_blocks_say() {
        let (_, costs, _) = costs(&options());
        // Of the root and of lost+found.
        assert_eq!(costs.files.directories, (1 + 4) * BLOCK_BYTES);
        assert_eq!(costs.files.xattrs, BLOCK_BYTES);
        assert_eq!(costs.files.content, 5000 + 100 + (4096 + 808) + 1);
        let blocks = 2 + 1 + 2 + 1;
        assert_eq!(
            costs.files.slack + costs.files.content,
            blocks * BLOCK_BYTES
        );
    }
}
