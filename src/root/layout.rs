//! The one tree of an image.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{NixosError, NixosRoot, Placed};
use crate::source::Source;
use crate::store::{REGISTRATION_NAME, StorePath};
use crate::tree::{Metadata, Name, Node, NodeId, Timestamp, Tree};

/// Mode of directories that nobody describes, the root among them.
const DIRECTORY_MODE: u16 = 0o755;
/// Mode of `/nix/store`: its group may add paths but not remove those of others.
const STORE_MODE: u16 = 0o1775;
/// Group of `/nix/store`: `nixbld`, as NixOS numbers it.
const STORE_GROUP: u32 = 30_000;
const REGISTRATION_MODE: u16 = 0o444;

/// Parts that do not make one tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// Two parts put something at one place, and not both a directory.
    #[error(
        "two things would stand at {}: {first_kind} from {first} and {second_kind} from {second}; only directories merge, so move or drop one of the two",
        path.display()
    )]
    Meeting {
        /// The place in the image.
        path: PathBuf,
        /// The part that came first.
        first: Part,
        /// What it puts there.
        first_kind: &'static str,
        /// The part that came later.
        second: Part,
        /// What it puts there, or needs there.
        second_kind: &'static str,
    },
    /// The NixOS is not in the closure.
    #[error(transparent)]
    Nixos(#[from] NixosError),
    /// Contents stand where a store path of the closure does, or within.
    #[error(
        "{contents} would stand at or in {store_path}, which the closure holds as it is; choose another target"
    )]
    InStorePath {
        /// The contents.
        contents: Part,
        /// The store path.
        store_path: StorePath,
    },
}

/// Where a part of an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The layout of every image.
    Layout,
    /// The contents of this source.
    Contents(Arc<Path>),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout => f.write_str("the image's own layout"),
            Self::Contents(source) => write!(f, "the contents of {}", source.display()),
        }
    }
}

/// The tree of an image: what a NixOS has, if it is the root of one, `contents` in the
/// order given, every path of `scanned` in `/nix/store`, and `registration` as
/// `/nix-path-registration`.
///
/// What nobody describes is a directory of root's, 0755. A directory that meets a
/// directory merges with it, and the later one's metadata holds; of `/nix`, `/nix/store`
/// and what a NixOS has below `/nix` the image's own does. `mtime` is the time of what has
/// none.
pub fn tree(
    nixos: Option<&NixosRoot>,
    scanned: Vec<(StorePath, Tree)>,
    contents: Vec<Placed>,
    registration: Option<Source>,
    mtime: Timestamp,
) -> Result<Tree, RootError> {
    let mut image = Image::new(mtime);
    if let Some(nixos) = nixos {
        nixos.check(&scanned)?;
        image.put_nixos(nixos);
    }
    for placed in contents {
        image.part(Part::Contents(placed.source.clone()));
        image.put(&placed)?;
    }
    image.part(Part::Layout);
    if let Some(nixos) = nixos {
        image.own_state(nixos);
    }
    image.put_store(scanned)?;
    if let Some(source) = registration {
        image.put_registration(source)?;
    }
    Ok(image.tree)
}

/// The tree of a filesystem that holds `contents`, in the order given, and nothing else.
pub fn contents_tree(contents: Vec<Placed>, mtime: Timestamp) -> Result<Tree, RootError> {
    let mut image = Image::new(mtime);
    for placed in contents {
        image.part(Part::Contents(placed.source.clone()));
        image.put(&placed)?;
    }
    Ok(image.tree)
}

/// The tree of a filesystem that is a store: every path of `scanned` by its name, and nothing
/// else. Its top is what `/nix/store` is elsewhere.
#[must_use]
#[expect(
    clippy::missing_panics_doc,
    reason = "store paths have names of their own"
)]
pub fn store_tree(scanned: Vec<(StorePath, Tree)>, mtime: Timestamp) -> Tree {
    let mut store = Tree::new(Node::directory(store_metadata(mtime)));
    store.reserve(nodes_of(&scanned));
    for (store_path, tree) in scanned {
        store
            .graft(Tree::ROOT, name(store_path.base_name()), tree)
            .expect("a closure holds each store path once");
    }
    store
}

/// The tops of `paths` in a tree that [`tree()`] made of them, or [`store_tree`] if it is of the
/// `only_store`.
///
/// # Panics
///
/// If it was made of others.
pub fn store_paths<'a>(
    tree: &Tree,
    paths: impl Iterator<Item = &'a StorePath>,
    only_store: bool,
) -> Vec<NodeId> {
    let lookup = |parent, name: &str| {
        let there = tree.lookup(parent, &self::name(name));
        there.expect("the tree has every path of the closure")
    };
    let store = if only_store {
        Tree::ROOT
    } else {
        lookup(lookup(Tree::ROOT, "nix"), "store")
    };
    paths.map(|path| lookup(store, path.base_name())).collect()
}

/// Nodes that come later: the registration, `lost+found`.
const LATER_NODES: usize = 16;

/// Nodes of all trees of a closure, and of what is put beside them.
fn nodes_of(scanned: &[(StorePath, Tree)]) -> usize {
    scanned.iter().map(|(_, tree)| tree.len()).sum::<usize>() + LATER_NODES
}

fn store_metadata(mtime: Timestamp) -> Metadata {
    Metadata {
        gid: STORE_GROUP,
        ..Metadata::of_root(STORE_MODE, mtime)
    }
}

/// A tree that grows, part by part.
struct Image {
    tree: Tree,
    mtime: Timestamp,
    /// The parts, each with the number of nodes before it.
    parts: Vec<(usize, Part)>,
}

impl Image {
    fn new(mtime: Timestamp) -> Self {
        Self {
            tree: Tree::new(Node::directory(Metadata::of_root(DIRECTORY_MODE, mtime))),
            mtime,
            parts: vec![(0, Part::Layout)],
        }
    }

    /// What is put from here on is from `part`.
    fn part(&mut self, part: Part) {
        self.parts.push((self.tree.len(), part));
    }

    fn current_part(&self) -> Part {
        let (_, part) = self.parts.last().expect("the root is from a part");
        part.clone()
    }

    fn part_of(&self, id: NodeId) -> Part {
        let after = self
            .parts
            .partition_point(|(nodes_before, _)| *nodes_before <= id.index());
        self.parts[after - 1].1.clone()
    }

    fn put(&mut self, placed: &Placed) -> Result<(), RootError> {
        let top = placed.tree.node(Tree::ROOT);
        let implied = placed.implied.contains(&Tree::ROOT);
        let Some((name, parents)) = placed.target.split_last() else {
            let path = PathBuf::from("/");
            self.meet(Tree::ROOT, &path, top, implied)?;
            return self.merge(placed, Tree::ROOT, path);
        };
        let (parent, path) = self.directories(parents)?;
        let path = join(&path, name);
        let id = if let Some(there) = self.tree.lookup(parent, name) {
            self.meet(there, &path, top, implied)?;
            there
        } else {
            self.insert(parent, name, shallow(top))
        };
        self.merge(placed, id, path)
    }

    /// Puts what stands in a tree into the node `top` at `path`.
    fn merge(&mut self, placed: &Placed, top: NodeId, path: PathBuf) -> Result<(), RootError> {
        let mut links: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        let mut todo = vec![(Tree::ROOT, top, path)];
        while let Some((from, to, path)) = todo.pop() {
            for (name, child) in placed.tree.entries(from) {
                let node = placed.tree.node(child);
                let path = join(&path, name);
                let id = match (self.tree.lookup(to, name), links.get(&child)) {
                    (Some(there), _) => {
                        self.meet(there, &path, node, placed.implied.contains(&child))?;
                        there
                    }
                    (None, Some(linked)) => {
                        self.tree
                            .link(to, name.clone(), *linked)
                            .expect("the name is free");
                        *linked
                    }
                    (None, None) => self.insert(to, name, shallow(node)),
                };
                if node.is_directory() {
                    todo.push((child, id, path));
                } else {
                    links.insert(child, id);
                }
            }
        }
        Ok(())
    }

    /// Lets `node` meet what stands at `path`.
    fn meet(
        &mut self,
        there: NodeId,
        path: &Path,
        node: &Node,
        implied: bool,
    ) -> Result<(), RootError> {
        if !self.tree.node(there).is_directory() || !node.is_directory() {
            return Err(self.meeting(there, path, node.kind.name()));
        }
        if !implied {
            self.tree.node_mut(there).metadata = node.metadata.clone();
        }
        Ok(())
    }

    /// The directory at `names`, made where it is missing, and its path.
    fn directories(&mut self, names: &[Name]) -> Result<(NodeId, PathBuf), RootError> {
        let mut id = Tree::ROOT;
        let mut path = PathBuf::from("/");
        for name in names {
            path = join(&path, name);
            id = if let Some(there) = self.tree.lookup(id, name) {
                there
            } else {
                let metadata = Metadata::of_root(DIRECTORY_MODE, self.mtime);
                self.insert(id, name, Node::directory(metadata))
            };
            if !self.tree.node(id).is_directory() {
                return Err(self.meeting(id, &path, "a directory"));
            }
        }
        Ok((id, path))
    }

    fn put_nixos(&mut self, nixos: &NixosRoot) {
        for (path, node) in nixos.entries(self.mtime) {
            let names: Vec<_> = path.split('/').map(name).collect();
            let (last, parents) = names.split_last().expect("a path has a name");
            let parent = parents.iter().fold(Tree::ROOT, |parent, name| {
                let there = self.tree.lookup(parent, name);
                there.expect("the policy has directories before what stands in them")
            });
            self.insert(parent, last, node);
        }
    }

    /// Takes the metadata of Nix's directories back, whatever contents said of them.
    fn own_state(&mut self, nixos: &NixosRoot) {
        for (path, node) in nixos.entries(self.mtime) {
            if node.is_directory() && path.starts_with("nix/") {
                let there = path.split('/').fold(Tree::ROOT, |parent, part| {
                    let there = self.tree.lookup(parent, &name(part));
                    there.expect("nothing that was put is taken away")
                });
                self.tree.node_mut(there).metadata = node.metadata;
            }
        }
    }

    fn put_store(&mut self, scanned: Vec<(StorePath, Tree)>) -> Result<(), RootError> {
        let (nix, _) = self.directories(&[name("nix")])?;
        self.tree.node_mut(nix).metadata = Metadata::of_root(DIRECTORY_MODE, self.mtime).into();
        let (store, _) = self.directories(&[name("nix"), name("store")])?;
        self.tree.node_mut(store).metadata = store_metadata(self.mtime).into();
        self.tree.reserve(nodes_of(&scanned));
        for (store_path, tree) in scanned {
            let name = name(store_path.base_name());
            if let Some(there) = self.tree.lookup(store, &name) {
                return Err(RootError::InStorePath {
                    contents: self.part_of(there),
                    store_path,
                });
            }
            self.tree
                .graft(store, name, tree)
                .expect("the name is free");
        }
        Ok(())
    }

    fn put_registration(&mut self, source: Source) -> Result<(), RootError> {
        let name = name(REGISTRATION_NAME);
        let metadata = Metadata::of_root(REGISTRATION_MODE, self.mtime);
        let node = Node::file(metadata, source);
        if let Some(there) = self.tree.lookup(Tree::ROOT, &name) {
            let path = join(Path::new("/"), &name);
            return Err(self.meeting(there, &path, node.kind.name()));
        }
        self.insert(Tree::ROOT, &name, node);
        Ok(())
    }

    fn insert(&mut self, parent: NodeId, name: &Name, node: Node) -> NodeId {
        self.tree
            .insert(parent, name.clone(), node)
            .expect("the name was looked up and is free")
    }

    fn meeting(&self, there: NodeId, path: &Path, second_kind: &'static str) -> RootError {
        RootError::Meeting {
            path: path.into(),
            first: self.part_of(there),
            first_kind: self.tree.node(there).kind.name(),
            second: self.current_part(),
            second_kind,
        }
    }
}

/// A node without its entries.
fn shallow(node: &Node) -> Node {
    if node.is_directory() {
        return Node::directory(node.metadata.clone());
    }
    node.clone()
}

fn name(text: &str) -> Name {
    Name::new(text).expect("the names of the layout, and of store paths, are names")
}

fn join(directory: &Path, name: &Name) -> PathBuf {
    directory.join(OsStr::from_bytes(name.as_bytes()))
}

#[cfg(test)]
mod tests;
