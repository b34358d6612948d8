//! What there is to tell of an image before it is laid out.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::accounts::{Accounts, NodeBytes};
use super::chains::Chains;
use super::shown::shown;
use super::{FileReport, PageFile};
use crate::store::{Closure, StorePath};
use crate::tree::{Kind, Name, NodeId, Tree};

/// The files of an image, whose they are, and which are equal.
#[derive(Debug)]
pub struct Survey {
    /// The store paths, in order, then what stands outside of them.
    owners: Vec<Owner>,
    store_paths: usize,
    /// The first name of each node.
    entries: Vec<Entry>,
    /// By node: its place in `entries`.
    places: Vec<u32>,
    pub(super) chains: Chains,
    /// Files of store paths that are equal.
    pub(super) equal: Vec<Vec<NodeId>>,
    pub(super) count: Count,
}

/// Names by what they name.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Count {
    files: usize,
    directories: usize,
    symlinks: usize,
    /// Devices and FIFOs.
    devices: usize,
    /// Names of files that have another already.
    more_names: usize,
}

/// A store path, or something beside them.
#[derive(Debug)]
struct Owner {
    path: String,
    /// Names.
    files: usize,
}

/// A name.
#[derive(Debug)]
struct Entry {
    node: NodeId,
    name: Name,
    /// The directory that it is in, by its place; itself of the top.
    parent: u32,
    owner: u32,
    /// Whether it is the top of what its owner has.
    is_top: bool,
    is_directory: bool,
}

/// An owner with what it takes.
#[derive(Debug)]
pub(super) struct OwnerBytes {
    pub path: String,
    pub bytes: NodeBytes,
    pub files: usize,
}

/// A file with what it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    place: u32,
    owner: u32,
    bytes: NodeBytes,
}

/// The directory that ext4 adds.
const ADDED: &str = "/lost+found";

impl Survey {
    /// Looks at `tree`, in which the paths of `closure` stand. `asked` are store paths that somebody
    /// wants: roots, if they are in the closure. `equal` are the files of store paths that are
    /// equal, in groups.
    ///
    /// # Panics
    ///
    /// If `tree` is of another closure.
    #[must_use]
    pub fn new(
        tree: &Tree,
        closure: &Closure,
        tops: &[NodeId],
        asked: &[StorePath],
        equal: Vec<Vec<NodeId>>,
    ) -> Self {
        assert_eq!(tops.len(), closure.paths().len(), "each path has a top");
        let mut walk = Walk::new(tree, closure, tops);
        walk.all();
        Self {
            store_paths: tops.len(),
            owners: walk.owners,
            entries: walk.entries,
            places: walk.places,
            chains: chains(closure, asked),
            equal,
            count: walk.count,
        }
    }

    pub(super) fn store_paths(&self) -> usize {
        self.store_paths
    }

    /// The owners, in their order, with what `accounts` say.
    pub(super) fn owners(&self, accounts: &Accounts) -> Vec<OwnerBytes> {
        let mut owners: Vec<_> = self
            .owners
            .iter()
            .map(|owner| OwnerBytes {
                path: owner.path.clone(),
                bytes: NodeBytes::default(),
                files: owner.files,
            })
            .collect();
        for entry in &self.entries {
            let owner = &mut owners[entry.owner as usize];
            owner.bytes.add(accounts.node(entry.node));
        }
        let mut added = OwnerBytes {
            path: ADDED.into(),
            bytes: NodeBytes::default(),
            files: 0,
        };
        for bytes in accounts.added(self.places.len()) {
            added.bytes.add(bytes);
            added.files += 1;
        }
        owners.extend((added.files > 0).then_some(added));
        owners
    }

    /// All that is no directory and takes something, the largest first.
    pub(super) fn files(&self, accounts: &Accounts) -> Vec<Listed> {
        let mut files: Vec<_> = (0..)
            .zip(&self.entries)
            .filter(|(_, entry)| !entry.is_directory)
            .map(|(place, entry)| Listed {
                place,
                owner: entry.owner,
                bytes: accounts.node(entry.node),
            })
            .filter(|file| file.bytes.bytes > 0)
            .collect();
        files.sort_by_key(|file| (Reverse(file.bytes.bytes), Reverse(file.bytes.content)));
        files
    }

    pub(super) fn file(&self, file: &Listed) -> FileReport {
        FileReport {
            path: self.path(file.place),
            bytes: file.bytes.bytes,
            content: file.bytes.content,
        }
    }

    /// The largest of `files`, as many as a page can have, with owners by their `places` there.
    pub(super) fn page_files(&self, files: &[Listed], places: &[usize]) -> Vec<PageFile> {
        let mut left = PageFile::MAX_NAME_BYTES;
        files
            .iter()
            .take(PageFile::MAX)
            .map_while(|file| {
                let name = self.name(file.place);
                left = left.checked_sub(name.len())?;
                Some(PageFile {
                    owner: places[file.owner as usize],
                    name,
                    bytes: file.bytes.bytes,
                })
            })
            .collect()
    }

    /// The place of `node` in the order of names.
    pub(super) fn place(&self, node: NodeId) -> u32 {
        self.places[node.index()]
    }

    /// The path in the image of the name at `place`.
    pub(super) fn path(&self, place: u32) -> String {
        let owner = &self.owners[self.entries[place as usize].owner as usize].path;
        match self.name(place) {
            name if name.is_empty() => owner.clone(),
            name => format!("{}/{name}", owner.trim_end_matches('/')),
        }
    }

    /// The path below its owner of the name at `place`.
    fn name(&self, place: u32) -> String {
        let mut names = Vec::new();
        let mut entry = &self.entries[place as usize];
        while !entry.is_top {
            names.push(shown(entry.name.as_bytes()));
            entry = &self.entries[entry.parent as usize];
        }
        names.reverse();
        names.join("/")
    }
}

impl Listed {
    /// Of each owner the first `most` of `files`.
    pub(super) fn few_of_each(files: &[Self], owners: usize, most: usize) -> Vec<Vec<Self>> {
        let mut few = vec![Vec::new(); owners];
        for file in files {
            let few = &mut few[file.owner as usize];
            if few.len() < most {
                few.push(*file);
            }
        }
        few
    }
}

fn chains(closure: &Closure, asked: &[StorePath]) -> Chains {
    let numbers: BTreeMap<_, _> = closure
        .paths()
        .enumerate()
        .map(|(number, path)| (&path.path, number))
        .collect();
    let references = closure
        .paths()
        .map(|path| path.references.iter().map(|other| numbers[other]).collect())
        .collect();
    let asked: Vec<_> = asked
        .iter()
        .filter_map(|path| numbers.get(path).copied())
        .collect();
    Chains::new(references, &asked)
}

/// A walk over a tree that takes down names.
struct Walk<'a> {
    tree: &'a Tree,
    /// By node: the store path that begins there.
    tops: BTreeMap<NodeId, u32>,
    owners: Vec<Owner>,
    entries: Vec<Entry>,
    places: Vec<u32>,
    count: Count,
}

/// A name that is still to be taken down.
struct Next {
    node: NodeId,
    name: Name,
    /// The directory, by its place; none of the root.
    parent: Option<u32>,
}

/// No place.
const NOWHERE: u32 = u32::MAX;

impl<'a> Walk<'a> {
    fn new(tree: &'a Tree, closure: &Closure, tops: &[NodeId]) -> Self {
        let owners = closure.paths().map(|path| Owner {
            path: path.path.to_string(),
            files: 0,
        });
        Self {
            tree,
            tops: tops.iter().copied().zip(0..).collect(),
            owners: owners.collect(),
            entries: Vec::with_capacity(tree.len()),
            places: vec![NOWHERE; tree.len()],
            count: Count::default(),
        }
    }

    /// Takes down all names, depth first, in byte order.
    fn all(&mut self) {
        let mut todo = vec![Next {
            node: Tree::ROOT,
            name: Name::new("root").expect("it is a name"),
            parent: None,
        }];
        while let Some(next) = todo.pop() {
            let node = next.node;
            let Some(place) = self.take_down(next) else {
                continue;
            };
            let below = todo.len();
            todo.extend(self.tree.entries(node).map(|(name, node)| Next {
                node,
                name: name.clone(),
                parent: Some(place),
            }));
            todo[below..].reverse();
        }
    }

    /// The place of a name; none if what it names has one already.
    fn take_down(&mut self, next: Next) -> Option<u32> {
        let place = u32::try_from(self.entries.len()).expect("nodes have numbers of 32 bits");
        let (owner, is_top) = self.owner(&next);
        self.owners[owner as usize].files += 1;
        if self.places[next.node.index()] != NOWHERE {
            self.count.more_names += 1;
            return None;
        }
        self.places[next.node.index()] = place;
        let kind = &self.tree.node(next.node).kind;
        self.count.add(kind);
        self.entries.push(Entry {
            node: next.node,
            name: next.name,
            parent: next.parent.unwrap_or(place),
            owner,
            is_top,
            is_directory: matches!(kind, Kind::Directory(_)),
        });
        Some(place)
    }

    /// Whose a name is, and whether it is the top of what that has: a store path's, its
    /// directory's, or, at the top of the image, in `/nix` and in the store, its own.
    fn owner(&mut self, next: &Next) -> (u32, bool) {
        if let Some(store_path) = self.tops.get(&next.node) {
            return (*store_path, true);
        }
        let Some(parent) = next.parent else {
            return (self.add_owner("/".into()), true);
        };
        let parent = &self.entries[parent as usize];
        let of_parent = &self.owners[parent.owner as usize].path;
        let is_split = matches!(of_parent.as_str(), "/" | "/nix" | "/nix/store");
        if !(parent.is_top && is_split) {
            return (parent.owner, false);
        }
        let name = shown(next.name.as_bytes());
        let path = format!("{}/{name}", of_parent.trim_end_matches('/'));
        (self.add_owner(path), true)
    }

    fn add_owner(&mut self, path: String) -> u32 {
        let owner = u32::try_from(self.owners.len()).expect("nodes have numbers of 32 bits");
        self.owners.push(Owner { path, files: 0 });
        owner
    }
}

impl Count {
    fn add(&mut self, kind: &Kind) {
        match kind {
            Kind::Directory(_) => self.directories += 1,
            Kind::File(_) => self.files += 1,
            Kind::Symlink(_) => self.symlinks += 1,
            Kind::CharacterDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => self.devices += 1,
        }
    }
}
