//! A tree in the order of its NAR.

use std::collections::btree_map;

use crate::source::Source;
use crate::tree::{Kind, Name, NodeId, Tree};

/// A part of a NAR.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// A directory begins.
    BeginDirectory,
    /// A name, of the node that follows.
    Entry(&'a Name),
    /// A regular file.
    File {
        id: NodeId,
        executable: bool,
        source: &'a Source,
    },
    /// A symbolic link, to here.
    Symlink(&'a [u8]),
    /// The directory that began last ends.
    EndDirectory,
}

/// The events of the NAR of a tree, without recursion: depth costs no stack.
///
/// # Panics
///
/// At a node that no NAR can hold.
pub(crate) fn walk(tree: &Tree) -> impl Iterator<Item = Event<'_>> {
    Walk {
        tree,
        open: Vec::new(),
        next: Some(Tree::ROOT),
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    /// What is left of the directories that are open.
    open: Vec<btree_map::Iter<'a, Name, NodeId>>,
    /// The node whose name was told.
    next: Option<NodeId>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        if let Some(id) = self.next.take() {
            return Some(self.node(id));
        }
        let entries = self.open.last_mut()?;
        if let Some((name, id)) = entries.next() {
            self.next = Some(*id);
            return Some(Event::Entry(name));
        }
        self.open.pop();
        Some(Event::EndDirectory)
    }
}

impl<'a> Walk<'a> {
    fn node(&mut self, id: NodeId) -> Event<'a> {
        let node = self.tree.node(id);
        match &node.kind {
            Kind::Directory(entries) => {
                self.open.push(entries.iter());
                Event::BeginDirectory
            }
            Kind::File(source) => Event::File {
                id,
                executable: node.metadata.mode & 0o100 != 0,
                source,
            },
            Kind::Symlink(target) => Event::Symlink(target),
            Kind::CharacterDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => {
                panic!("a store path holds no special files")
            }
        }
    }
}
