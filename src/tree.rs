//! A filesystem as a value: what stands where, with which metadata.
//!
//! A [`Tree`] knows neither Nix nor ext4. Names are bytes and are kept in byte
//! order; a regular file's content is a [`Source`]. A node that is reached by
//! more than one name is a hard link.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use triomphe::ThinArc;

use crate::source::Source;

mod builder;

pub use builder::TreeBuilder;

/// Nodes, reached by name from a root, which need not be a directory (a store
/// path may be a file).
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

/// The place of a node in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// One file, of whatever type.
#[derive(Clone, Debug)]
pub struct Node {
    /// What `stat` tells besides the type.
    pub metadata: SharedMetadata,
    /// The type, and what goes with it.
    pub kind: Kind,
}

/// The type of a file, with its content.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Names, in byte order, and what they name.
    Directory(BTreeMap<Name, NodeId>),
    /// A regular file.
    File(Source),
    /// A symbolic link and its target.
    Symlink(Box<[u8]>),
    /// A character device.
    CharacterDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A FIFO.
    Fifo,
}

/// The number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceNumber {
    /// The driver.
    pub major: u32,
    /// The device, among the driver's.
    pub minor: u32,
}

/// Mode, owner, time and extended attributes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The permission bits: set-uid, set-gid, sticky, and rwx three times (`0o7777`).
    pub mode: u16,
    /// User id of the owner.
    pub uid: u32,
    /// Group id of the owner.
    pub gid: u32,
    /// Time of the last change of content.
    pub mtime: Timestamp,
    /// Extended attributes: full name (`user.comment`) to value.
    pub xattrs: Option<Box<Xattrs>>,
}

/// Metadata that many nodes share, as most files of a closure do; a change is of one node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedMetadata(Arc<Metadata>);

/// Extended attributes: full name to value.
pub type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// A time as seconds from 1970-01-01 00:00:00 UTC, negative before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds after them, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// A name in a directory: bytes, not empty, without `/` and NUL, neither `.` nor
/// `..`, and at most [`Name::MAX_LENGTH`] bytes long.
#[derive(Clone)]
pub struct Name(ThinArc<(), u8>);

/// Bytes that are no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("a file name is empty")]
    Empty,
    /// `.` or `..`.
    #[error("{0:?} stands for a directory itself or its parent, and is no file name")]
    Reserved(&'static str),
    /// A byte that the kernel keeps for itself.
    #[error("the file name {name:?} holds a {byte}")]
    Byte {
        /// The name, for reading.
        name: String,
        /// `"slash"` or `"NUL byte"`.
        byte: &'static str,
    },
    /// More bytes than a directory entry holds.
    #[error(
        "the file name {name:?} has {length} bytes, more than {}",
        Name::MAX_LENGTH
    )]
    TooLong {
        /// The name, for reading.
        name: String,
        /// Its bytes.
        length: usize,
    },
}

/// A name that is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is there already")]
pub struct NameTaken {
    /// The name.
    pub name: Name,
}

impl Tree {
    /// A tree of one node.
    #[must_use]
    pub fn new(root: Node) -> Self {
        Self { nodes: vec![root] }
    }

    /// The root of every tree.
    pub const ROOT: NodeId = NodeId(0);

    /// How many nodes there are; a hard link is not one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a tree has its root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The node at `id`.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The node at `id`, to be changed.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }

    /// All nodes, to be changed, the root first.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// What stands in the directory `id`; nothing if it is no directory.
    pub fn entries(&self, id: NodeId) -> impl Iterator<Item = (&Name, NodeId)> {
        match &self.node(id).kind {
            Kind::Directory(entries) => Some(entries),
            _ => None,
        }
        .into_iter()
        .flatten()
        .map(|(name, id)| (name, *id))
    }

    /// What `name` is in the directory `parent`.
    #[must_use]
    pub fn lookup(&self, parent: NodeId, name: &Name) -> Option<NodeId> {
        match &self.node(parent).kind {
            Kind::Directory(entries) => entries.get(name).copied(),
            _ => None,
        }
    }

    /// Puts `node` into the directory `parent`.
    ///
    /// # Panics
    ///
    /// If `parent` is no directory.
    pub fn insert(&mut self, parent: NodeId, name: Name, node: Node) -> Result<NodeId, NameTaken> {
        let id = NodeId::at(self.nodes.len());
        self.link(parent, name, id)?;
        self.nodes.push(node);
        Ok(id)
    }

    /// Makes room for so many nodes more. A tree that grows without may be in memory twice for a
    /// moment.
    pub fn reserve(&mut self, nodes: usize) {
        self.nodes.reserve(nodes);
    }

    /// Gives the node `target` one more name, in the directory `parent`.
    ///
    /// # Panics
    ///
    /// If `parent` is no directory.
    pub fn link(&mut self, parent: NodeId, name: Name, target: NodeId) -> Result<(), NameTaken> {
        let Kind::Directory(entries) = &mut self.nodes[parent.index()].kind else {
            panic!("a name can only be given in a directory")
        };
        match entries.entry(name) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(target);
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(taken) => Err(NameTaken {
                name: taken.key().clone(),
            }),
        }
    }

    /// Gives the names of one node to another, for each pair of `replaced`, and takes the
    /// first of each pair out. The others have new places then.
    ///
    /// # Panics
    ///
    /// If the root is to be replaced, or if what replaces a node is replaced itself.
    pub fn replace(&mut self, replaced: &[(NodeId, NodeId)]) -> Vec<Node> {
        let mut by: Vec<_> = (0..self.nodes.len()).map(NodeId::at).collect();
        for (old, new) in replaced {
            assert!(*old != Self::ROOT, "the root of a tree has no name");
            by[old.index()] = *new;
        }
        let mut places = Vec::with_capacity(by.len());
        let mut kept = Vec::with_capacity(by.len() - replaced.len());
        let mut removed = Vec::with_capacity(replaced.len());
        for (index, node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            places.push(NodeId::at(kept.len()));
            let stays = by[index].index() == index;
            if stays { &mut kept } else { &mut removed }.push(node);
        }
        for node in &mut kept {
            if let Kind::Directory(entries) = &mut node.kind {
                for id in entries.values_mut() {
                    let new = by[id.index()];
                    assert!(by[new.index()] == new, "what replaces a node stays");
                    *id = places[new.index()];
                }
            }
        }
        self.nodes = kept;
        removed
    }

    /// Puts the whole of `other` into the directory `parent`, its root as `name`.
    ///
    /// # Panics
    ///
    /// If `parent` is no directory.
    pub fn graft(&mut self, parent: NodeId, name: Name, other: Tree) -> Result<NodeId, NameTaken> {
        let shift = self.nodes.len();
        let root = NodeId::at(shift);
        self.link(parent, name, root)?;
        self.nodes.extend(other.nodes.into_iter().map(|mut node| {
            if let Kind::Directory(entries) = &mut node.kind {
                for id in entries.values_mut() {
                    *id = NodeId::at(id.index() + shift);
                }
            }
            node
        }));
        Ok(root)
    }
}

impl NodeId {
    /// The number of the node, from 0, for tables that go with a tree.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The place `count` nodes behind this one.
    #[must_use]
    pub fn after(self, count: usize) -> Self {
        Self::at(self.index() + count)
    }

    fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("ext4 has at most 2^32 inodes, and memory ends before"))
    }
}

impl Node {
    /// An empty directory.
    #[must_use]
    pub fn directory(metadata: impl Into<SharedMetadata>) -> Self {
        Self {
            metadata: metadata.into(),
            kind: Kind::Directory(BTreeMap::new()),
        }
    }

    /// A regular file.
    #[must_use]
    pub fn file(metadata: impl Into<SharedMetadata>, source: Source) -> Self {
        Self {
            metadata: metadata.into(),
            kind: Kind::File(source),
        }
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(metadata: impl Into<SharedMetadata>, target: impl Into<Box<[u8]>>) -> Self {
        Self {
            metadata: metadata.into(),
            kind: Kind::Symlink(target.into()),
        }
    }

    /// Whether names can be given in it.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }
}

impl From<Metadata> for SharedMetadata {
    fn from(metadata: Metadata) -> Self {
        Self(Arc::new(metadata))
    }
}

impl PartialEq<Metadata> for SharedMetadata {
    fn eq(&self, other: &Metadata) -> bool {
        **self == *other
    }
}

impl Deref for SharedMetadata {
    type Target = Metadata;

    fn deref(&self) -> &Metadata {
        &self.0
    }
}

impl DerefMut for SharedMetadata {
    fn deref_mut(&mut self) -> &mut Metadata {
        Arc::make_mut(&mut self.0)
    }
}

impl Kind {
    /// What it is, as `"a directory"`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Directory(_) => "a directory",
            Self::File(_) => "a file",
            Self::Symlink(_) => "a symlink",
            Self::CharacterDevice(_) => "a character device",
            Self::BlockDevice(_) => "a block device",
            Self::Fifo => "a FIFO",
        }
    }
}

impl Metadata {
    /// Metadata of a file of root's (0:0), without extended attributes.
    #[must_use]
    pub fn of_root(mode: u16, mtime: Timestamp) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: None,
        }
    }
}

impl Timestamp {
    /// A time at a whole second.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self {
            seconds,
            nanoseconds: 0,
        }
    }
}

impl Name {
    /// Bytes in the longest name.
    pub const MAX_LENGTH: usize = 255;

    /// Checks that `bytes` are a name.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, NameError> {
        let bytes = bytes.as_ref();
        let readable = || String::from_utf8_lossy(bytes).into_owned();
        match bytes {
            b"" => return Err(NameError::Empty),
            b"." => return Err(NameError::Reserved(".")),
            b".." => return Err(NameError::Reserved("..")),
            _ => {}
        }
        for (byte, called) in [(b'/', "slash"), (0, "NUL byte")] {
            if bytes.contains(&byte) {
                return Err(NameError::Byte {
                    name: readable(),
                    byte: called,
                });
            }
        }
        if bytes.len() > Self::MAX_LENGTH {
            return Err(NameError::TooLong {
                name: readable(),
                length: bytes.len(),
            });
        }
        Ok(Self(ThinArc::from_header_and_slice((), bytes)))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.slice
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.as_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Node {
        Node::directory(Metadata::of_root(0o755, Timestamp::from_seconds(1)))
    }

    fn name(bytes: &[u8]) -> Name {
        Name::new(bytes).unwrap()
    }

    #[test]
    fn names_that_a_directory_cannot_hold_are_refused() {
        assert_eq!(Name::new(b""), Err(NameError::Empty));
        assert_eq!(Name::new(b".."), Err(NameError::Reserved("..")));
        assert!(matches!(
            Name::new(b"a/b"),
            Err(NameError::Byte { byte: "slash", .. })
        ));
        assert!(matches!(
            Name::new(b"a\0"),
            Err(NameError::Byte {
                byte: "NUL byte",
                ..
            })
        ));
        assert!(matches!(
            Name::new([b'x'; 256]),
            Err(NameError::TooLong { length: 256, .. })
        ));
        assert_eq!(name(&[0xff; 255]).as_bytes().len(), 255);
    }

    #[test]
    fn entries_come_in_byte_order_whatever_the_order_of_insertion() {
        let mut tree = Tree::new(directory());
        for n in [&b"b"[..], b"B", b"\xff", b"a b"] {
            tree.insert(Tree::ROOT, name(n), directory()).unwrap();
        }
        let names: Vec<_> = tree
            .entries(Tree::ROOT)
            .map(|(n, _)| n.as_bytes().to_vec())
            .collect();
        assert_eq!(names, [&b"B"[..], b"a b", b"b", b"\xff"]);
    }

    #[test]
    fn a_name_is_given_once() {
        let mut tree = Tree::new(directory());
        tree.insert(Tree::ROOT, name(b"a"), directory()).unwrap();
        assert!(tree.insert(Tree::ROOT, name(b"a"), directory()).is_err());
        assert_eq!(tree.len(), 2);
    }

    #[test]
    fn a_grafted_tree_keeps_its_shape() {
        let mut branch = Tree::new(directory());
        let inner = branch
            .insert(Tree::ROOT, name(b"inner"), directory())
            .unwrap();
        branch.insert(inner, name(b"leaf"), directory()).unwrap();
        let mut tree = Tree::new(directory());
        tree.insert(Tree::ROOT, name(b"other"), directory())
            .unwrap();
        let grafted = tree.graft(Tree::ROOT, name(b"branch"), branch).unwrap();
        let inner = tree.lookup(grafted, &name(b"inner")).unwrap();
        assert!(tree.lookup(inner, &name(b"leaf")).is_some());
        assert_eq!(tree.len(), 5);
    }

    #[test]
    fn a_node_that_is_replaced_leaves_its_names_to_another() {
        let with_mode = |mode| Node::directory(Metadata::of_root(mode, Timestamp::from_seconds(1)));
        let mut tree = Tree::new(directory());
        let ids = [(b"a", 1), (b"b", 2), (b"c", 3), (b"d", 4)]
            .map(|(n, mode)| tree.insert(Tree::ROOT, name(n), with_mode(mode)).unwrap());
        let inner = tree.insert(ids[3], name(b"e"), with_mode(5)).unwrap();
        let removed = tree.replace(&[(ids[1], ids[2]), (inner, ids[0])]);
        let modes: Vec<_> = removed.iter().map(|node| node.metadata.mode).collect();
        assert_eq!(modes, [2, 5]);
        let found: Vec<_> = tree
            .entries(Tree::ROOT)
            .map(|(_, id)| tree.node(id).metadata.mode)
            .collect();
        assert_eq!(found, [1, 3, 3, 4]);
        let d = tree.lookup(Tree::ROOT, &name(b"d")).unwrap();
        let a = tree.lookup(Tree::ROOT, &name(b"a"));
        assert_eq!(tree.lookup(d, &name(b"e")), a);
        assert_eq!(tree.len(), 4);
    }
}
