//! What is taken down of an image while it is laid out.

use std::cmp::Reverse;

use serde::Serialize;

use super::shown::shown;
use super::{FEW, FileReport, Inodes};
use crate::disk::Region;
use crate::tree::{Kind, NodeId, Tree};
use crate::{ext4, fat, tar};

/// What the files of an image take, and its structures.
#[derive(Debug, Default)]
pub struct Accounts {
    /// By node of the tree with the closure.
    nodes: Vec<NodeBytes>,
    pub(super) volumes: Vec<Volume>,
    /// Of a disk.
    pub(super) regions: Option<Vec<Region>>,
}

/// Where a volume stands: the partition, by its index from 0; none if it is the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub Option<usize>);

/// Bytes that a file takes of a volume, or several do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct NodeBytes {
    /// All.
    pub bytes: u64,
    /// Content.
    pub content: u64,
    /// What is left of last blocks.
    pub slack: u64,
    /// Entries of directories, nodes of extent trees, extended attributes, headers.
    pub metadata: u64,
}

/// A volume and what it takes.
#[derive(Debug)]
pub(super) struct Volume {
    /// By its index.
    pub partition: Option<usize>,
    pub holds: &'static str,
    pub inodes: Option<Inodes>,
    pub costs: Costs,
    /// Of a filesystem without the closure.
    pub largest_files: Vec<FileReport>,
}

/// Bytes by what they are for. What takes nothing is left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Costs(Vec<(&'static str, u64)>);

impl Accounts {
    /// Takes down what a file of an ext4 filesystem takes.
    pub fn ext4_file(&mut self, node: NodeId, costs: ext4::FileCosts) {
        self.add(
            node,
            NodeBytes {
                bytes: costs.total(),
                content: costs.content,
                slack: costs.slack,
                metadata: costs.directories + costs.extent_trees + costs.xattrs,
            },
        );
    }

    /// Takes down what an entry of a tar archive takes.
    pub fn tar_entry(&mut self, node: NodeId, costs: tar::EntryCosts) {
        self.add(
            node,
            NodeBytes {
                bytes: costs.total(),
                content: costs.content,
                slack: costs.padding,
                metadata: costs.headers,
            },
        );
    }

    /// Takes down an ext4 filesystem.
    pub fn ext4(&mut self, at: At, costs: &ext4::Costs, usage: ext4::Usage) {
        self.volumes.push(Volume {
            partition: at.0,
            holds: "ext4",
            inodes: Some(Inodes {
                all: usage.inodes,
                free: usage.free_inodes,
            }),
            costs: Costs::of([
                ("content", costs.files.content),
                ("slack", costs.files.slack),
                ("directories", costs.files.directories),
                ("extentTrees", costs.files.extent_trees),
                ("xattrs", costs.files.xattrs),
                ("superblocks", costs.superblocks),
                ("descriptors", costs.descriptors),
                ("reservedDescriptors", costs.reserved_descriptors),
                ("blockBitmaps", costs.block_bitmaps),
                ("inodeBitmaps", costs.inode_bitmaps),
                ("inodeTables", costs.inode_tables),
                ("journal", costs.journal),
                ("orphanFile", costs.orphan_file),
                ("free", costs.free),
                ("unused", costs.rest),
            ]),
            largest_files: Vec::new(),
        });
    }

    /// Takes down a tar archive.
    pub fn tar(&mut self, at: At, costs: &tar::Costs) {
        self.volumes.push(Volume {
            partition: at.0,
            holds: "tar",
            inodes: None,
            costs: Costs::of([
                ("content", costs.entries.content),
                ("slack", costs.entries.padding),
                ("headers", costs.entries.headers),
                ("end", costs.end),
            ]),
            largest_files: Vec::new(),
        });
    }

    /// Takes down a FAT filesystem with `tree` in it.
    pub fn fat(&mut self, at: At, costs: &fat::Costs, tree: &Tree) {
        self.volumes.push(Volume {
            partition: at.0,
            holds: "fat",
            inodes: None,
            costs: Costs::of([
                ("content", costs.content),
                ("slack", costs.slack),
                ("directories", costs.directories),
                ("tables", costs.tables),
                ("free", costs.free),
            ]),
            largest_files: fat_files(tree, costs.cluster),
        });
    }

    /// Takes down a file that is a volume.
    pub fn file(&mut self, at: At, bytes: u64) {
        self.volumes.push(Volume {
            partition: at.0,
            holds: "file",
            inodes: None,
            costs: Costs::of([("content", bytes)]),
            largest_files: Vec::new(),
        });
    }

    /// Takes down what takes the bytes of a disk.
    pub fn disk(&mut self, regions: Vec<Region>) {
        self.regions = Some(regions);
    }

    /// What `node` takes.
    pub(super) fn node(&self, node: NodeId) -> NodeBytes {
        self.nodes.get(node.index()).copied().unwrap_or_default()
    }

    /// What nodes behind the first `known` take: those that a volume added.
    pub(super) fn added(&self, known: usize) -> impl Iterator<Item = NodeBytes> {
        self.nodes.iter().skip(known).copied()
    }

    fn add(&mut self, node: NodeId, bytes: NodeBytes) {
        if self.nodes.len() <= node.index() {
            self.nodes.resize(node.index() + 1, NodeBytes::default());
        }
        self.nodes[node.index()].add(bytes);
    }
}

impl NodeBytes {
    /// Adds what another file takes.
    pub(super) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.content += other.content;
        self.slack += other.slack;
        self.metadata += other.metadata;
    }
}

impl Costs {
    /// These, but for what takes nothing.
    pub(super) fn of<const N: usize>(costs: [(&'static str, u64); N]) -> Self {
        let mut these = Self::default();
        for (name, bytes) in costs {
            these.add(name, bytes);
        }
        these
    }

    pub(super) fn add(&mut self, name: &'static str, bytes: u64) {
        match self.0.iter_mut().find(|(there, _)| *there == name) {
            Some((_, sum)) => *sum += bytes,
            None if bytes > 0 => self.0.push((name, bytes)),
            None => {}
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.iter().map(|(_, bytes)| bytes).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }
}

/// The largest files of `tree`, in clusters of so many bytes.
fn fat_files(tree: &Tree, cluster: u64) -> Vec<FileReport> {
    let mut files = Vec::new();
    let mut todo = vec![(Tree::ROOT, String::new())];
    while let Some((id, path)) = todo.pop() {
        if let Kind::File(source) = &tree.node(id).kind {
            files.push(FileReport {
                path: path.clone(),
                bytes: source.length.next_multiple_of(cluster),
                content: source.length,
            });
        }
        let below = tree.entries(id);
        todo.extend(below.map(|(name, id)| (id, format!("{path}/{}", shown(name.as_bytes())))));
    }
    files.sort_by(|a, b| (Reverse(a.bytes), &a.path).cmp(&(Reverse(b.bytes), &b.path)));
    files.truncate(FEW);
    files
}
