//! The tree that a boot loader reads, while it grows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::fault::{BootFault, FindError};
use super::store_files::{StoreFile, StoreFiles};
use crate::root::Placed;
use crate::source::Source;
use crate::tree::{Metadata, Name, Node, NodeId, Timestamp, Tree};

const DIRECTORY_MODE: u16 = 0o755;
const FILE_MODE: u16 = 0o644;
/// Directories of device trees have two levels.
const MAX_DEPTH: usize = 16;

/// A tree whose paths are `/`-separated names from its top.
pub(super) struct BootTree {
    tree: Tree,
    /// The time of all in it.
    pub time: Timestamp,
    /// What each copy is of.
    copies: BTreeMap<String, String>,
}

impl BootTree {
    pub(super) fn new(time: Timestamp) -> Self {
        let top = Node::directory(Metadata::of_root(DIRECTORY_MODE, time));
        Self {
            tree: Tree::new(top),
            time,
            copies: BTreeMap::new(),
        }
    }

    /// A directory with a mode of its own.
    pub(super) fn directory(&mut self, path: &str, mode: u16) {
        let id = self.make_directory(path);
        self.tree.node_mut(id).metadata.mode = mode;
    }

    /// A file that holds `text`.
    pub(super) fn text(&mut self, path: &str, text: String) {
        let source = Source::bytes(text.into_bytes());
        let name = |name: &str| Name::new(name).expect("the files of boot loaders have names");
        let (directory, last) = path.rsplit_once('/').unwrap_or(("", path));
        self.insert(directory, name(last), source);
    }

    /// A file that holds `source`, which `path` names.
    pub(super) fn file(
        &mut self,
        directory: &str,
        name: &str,
        source: &Source,
        from: &str,
    ) -> Result<(), BootFault> {
        let path = format!("{directory}/{name}");
        match self.copies.get(&path) {
            Some(first) if first == from => return Ok(()),
            Some(first) => {
                return Err(BootFault::Meeting {
                    name: path,
                    first: first.clone(),
                    second: from.into(),
                });
            }
            None => {}
        }
        let name = Name::new(name).map_err(|source| BootFault::Name {
            path: from.into(),
            source,
        })?;
        self.copies.insert(path, from.into());
        let unwatched = Source {
            mark: None, // the bytes are shown to a watch once, where the store has them
            ..source.clone()
        };
        self.insert(directory, name, unwatched);
        Ok(())
    }

    /// A copy of `file`, which is `what`: a file, or a directory of files with all symlinks
    /// followed.
    pub(super) fn copy(
        &mut self,
        store: &StoreFiles<'_>,
        what: &'static str,
        directory: &str,
        name: &str,
        file: &StoreFile<'_>,
    ) -> Result<(), BootFault> {
        self.copy_below(store, what, directory, name, file, MAX_DEPTH)
    }

    fn copy_below(
        &mut self,
        store: &StoreFiles<'_>,
        what: &'static str,
        directory: &str,
        name: &str,
        file: &StoreFile<'_>,
        depth: usize,
    ) -> Result<(), BootFault> {
        if !file.is_directory() {
            return self.file(directory, name, file.source(what)?, &file.path);
        }
        let depth = depth.checked_sub(1).ok_or_else(|| BootFault::Find {
            what,
            path: file.path.clone(),
            source: FindError::Depth { limit: MAX_DEPTH },
        })?;
        let below = format!("{directory}/{name}");
        for name in file.names(what)? {
            let name = str::from_utf8(name.as_bytes()).map_err(|_| BootFault::Utf8 {
                what: "a name among the device trees",
                path: format!("{}/{}", file.path, String::from_utf8_lossy(name.as_bytes())),
            })?;
            let inner = store.find(what, &format!("{}/{name}", file.path))?;
            self.copy_below(store, what, &below, name, &inner, depth)?;
        }
        Ok(())
    }

    /// All of it, to stand at `target`. Its directories leave alone those that are there.
    pub(super) fn placed(self, source: Arc<Path>, target: Vec<Name>) -> Placed {
        let mut implied = BTreeSet::from([Tree::ROOT]);
        let mut todo = vec![Tree::ROOT];
        while let Some(id) = todo.pop() {
            let directories = self.tree.entries(id).map(|(_, id)| id);
            let directories = directories.filter(|id| self.tree.node(*id).is_directory());
            for directory in directories {
                implied.insert(directory);
                todo.push(directory);
            }
        }
        Placed {
            source,
            target,
            tree: self.tree,
            implied,
        }
    }

    fn insert(&mut self, directory: &str, name: Name, source: Source) {
        let directory = self.make_directory(directory);
        let node = Node::file(Metadata::of_root(FILE_MODE, self.time), source);
        self.tree
            .insert(directory, name, node)
            .expect("each file of a boot loader has a name of its own");
    }

    fn make_directory(&mut self, path: &str) -> NodeId {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.fold(Tree::ROOT, |parent, name| {
            let name = Name::new(name).expect("directories of boot loaders have names");
            if let Some(there) = self.tree.lookup(parent, &name) {
                return there;
            }
            let node = Node::directory(Metadata::of_root(DIRECTORY_MODE, self.time));
            let inserted = self.tree.insert(parent, name, node);
            inserted.expect("the name was looked up and is free")
        })
    }
}
