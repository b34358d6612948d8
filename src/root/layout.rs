//! The one tree of an image.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Placed;
use crate::source::Source;
use crate::store::{REGISTRATION_NAME, StorePath};
use crate::tree::{Kind, Metadata, Name, Node, NodeId, Timestamp, Tree};

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

/// The tree of an image: `contents` in the order given, every path of `scanned` in
/// `/nix/store`, and `registration` as `/nix-path-registration`.
///
/// What nobody describes is a directory of root's, 0755. A directory that meets a
/// directory merges with it, and the later one's metadata holds; of `/nix` and
/// `/nix/store` the image's own does. `mtime` is the time of what has none.
pub fn tree(
    scanned: Vec<(StorePath, Tree)>,
    contents: Vec<Placed>,
    registration: Option<Vec<u8>>,
    mtime: Timestamp,
) -> Result<Tree, RootError> {
    let mut image = Image::new(mtime);
    for placed in contents {
        image.part(Part::Contents(placed.source.clone()));
        image.put(&placed)?;
    }
    image.part(Part::Layout);
    image.put_store(scanned)?;
    if let Some(bytes) = registration {
        image.put_registration(bytes)?;
    }
    Ok(image.tree)
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
            return Err(self.meeting(there, path, kind(node)));
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

    fn put_store(&mut self, scanned: Vec<(StorePath, Tree)>) -> Result<(), RootError> {
        let (nix, _) = self.directories(&[name("nix")])?;
        self.tree.node_mut(nix).metadata = Metadata::of_root(DIRECTORY_MODE, self.mtime);
        let (store, _) = self.directories(&[name("nix"), name("store")])?;
        self.tree.node_mut(store).metadata = Metadata {
            gid: STORE_GROUP,
            ..Metadata::of_root(STORE_MODE, self.mtime)
        };
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

    fn put_registration(&mut self, bytes: Vec<u8>) -> Result<(), RootError> {
        let name = name(REGISTRATION_NAME);
        let metadata = Metadata::of_root(REGISTRATION_MODE, self.mtime);
        let node = Node::file(metadata, Source::bytes(bytes));
        if let Some(there) = self.tree.lookup(Tree::ROOT, &name) {
            let path = join(Path::new("/"), &name);
            return Err(self.meeting(there, &path, kind(&node)));
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
            first_kind: kind(self.tree.node(there)),
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

fn kind(node: &Node) -> &'static str {
    match node.kind {
        Kind::Directory(_) => "a directory",
        Kind::File(_) => "a file",
        Kind::Symlink(_) => "a symlink",
        Kind::CharacterDevice(_) => "a character device",
        Kind::BlockDevice(_) => "a block device",
        Kind::Fifo => "a FIFO",
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("the names of the layout, and of store paths, are names")
}

fn join(directory: &Path, name: &Name) -> PathBuf {
    directory.join(OsStr::from_bytes(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MTIME: Timestamp = Timestamp::from_seconds(1);
    const STORE_PATH: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a";

    fn directory(mode: u16) -> Node {
        Node::directory(Metadata::of_root(mode, MTIME))
    }

    fn file(content: &str) -> Node {
        Node::file(
            Metadata::of_root(0o444, MTIME),
            Source::bytes(content.as_bytes()),
        )
    }

    fn symlink() -> Node {
        Node::symlink(Metadata::of_root(0o777, MTIME), *b"target")
    }

    /// A directory (0555) of `entries`.
    fn directory_of(entries: impl IntoIterator<Item = (&'static str, Node)>) -> Tree {
        let mut tree = Tree::new(directory(0o555));
        for (entry, node) in entries {
            tree.insert(Tree::ROOT, name(entry), node).unwrap();
        }
        tree
    }

    fn placed(source: &str, target: &str, tree: Tree) -> Placed {
        Placed {
            source: Path::new(source).into(),
            target: target.split_terminator('/').skip(1).map(name).collect(),
            tree,
            implied: BTreeSet::new(),
        }
    }

    fn image(contents: Vec<Placed>) -> Result<Tree, RootError> {
        let path = StorePath::from_base_name(STORE_PATH).unwrap();
        let store_tree = directory_of([("bin", directory(0o555))]);
        tree(
            vec![(path, store_tree)],
            contents,
            Some(b"registration".to_vec()),
            MTIME,
        )
    }

    /// Every node as a line: path, mode and group.
    fn lines(tree: &Tree) -> Vec<String> {
        let mut lines = Vec::new();
        let mut todo = vec![(PathBuf::from("/"), Tree::ROOT)];
        while let Some((path, id)) = todo.pop() {
            let Metadata { mode, gid, .. } = tree.node(id).metadata;
            lines.push(format!("{} {mode:o} {gid}", path.display()));
            todo.extend(tree.entries(id).map(|(name, id)| (join(&path, name), id)));
        }
        lines.sort();
        lines
    }

    fn meeting(contents: Vec<Placed>) -> String {
        let error = image(contents).unwrap_err();
        assert!(matches!(error, RootError::Meeting { .. }), "{error}");
        let message = error.to_string();
        let (what, _) = message.split_once(';').unwrap();
        what.into()
    }

    #[test]
    fn an_image_has_a_store_and_its_registration() {
        assert_eq!(
            lines(&image(vec![]).unwrap()),
            [
                "/ 755 0",
                "/nix 755 0",
                "/nix-path-registration 444 0",
                "/nix/store 1775 30000",
                "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a 555 0",
                "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a/bin 555 0",
            ]
        );
        let bare = tree(vec![], vec![], None, MTIME).unwrap();
        assert_eq!(
            lines(&bare),
            ["/ 755 0", "/nix 755 0", "/nix/store 1775 30000"]
        );
    }

    #[test]
    fn missing_parents_are_made() {
        let image = image(vec![placed("/s", "/etc/ssh/key", Tree::new(file("key")))]).unwrap();
        let lines = lines(&image);
        for line in ["/etc 755 0", "/etc/ssh 755 0", "/etc/ssh/key 444 0"] {
            assert!(lines.contains(&line.into()), "{line} in {lines:?}");
        }
    }

    #[test]
    fn directories_merge_and_the_later_ones_metadata_holds() {
        let later = directory_of([("b", file("b")), ("sub", directory(0o700))]);
        let image = image(vec![
            placed(
                "/one",
                "/etc",
                directory_of([("a", file("a")), ("sub", directory(0o755))]),
            ),
            placed("/two", "/etc", later),
            placed("/three", "/", directory_of([])),
        ]);
        let lines = lines(&image.unwrap());
        for line in [
            "/ 555 0",
            "/etc 555 0",
            "/etc/a 444 0",
            "/etc/b 444 0",
            "/etc/sub 700 0",
        ] {
            assert!(lines.contains(&line.into()), "{line} in {lines:?}");
        }
    }

    #[test]
    fn an_implied_directory_leaves_what_is_there_alone() {
        let mut implied = placed("/t", "/root", directory_of([("key", file("key"))]));
        implied.implied.insert(Tree::ROOT);
        let private = placed("/s", "/root", Tree::new(directory(0o700)));
        let lines = lines(&image(vec![private, implied]).unwrap());
        assert!(lines.contains(&"/root 700 0".into()), "{lines:?}");
        assert!(lines.contains(&"/root/key 444 0".into()), "{lines:?}");
    }

    #[test]
    fn the_store_directories_are_the_images_own() {
        let nix = directory_of([("store", directory(0o700))]);
        let lines = lines(&image(vec![placed("/s", "/nix", nix)]).unwrap());
        assert!(lines.contains(&"/nix 755 0".into()), "{lines:?}");
        assert!(lines.contains(&"/nix/store 1775 30000".into()), "{lines:?}");
    }

    #[test]
    fn hard_links_stay_links() {
        let mut linked = directory_of([("one", file("x"))]);
        let one = linked.lookup(Tree::ROOT, &name("one")).unwrap();
        let sub = linked
            .insert(Tree::ROOT, name("sub"), directory(0o755))
            .unwrap();
        linked.link(sub, name("two"), one).unwrap();
        let image = image(vec![placed("/t", "/", linked)]).unwrap();
        let sub = image.lookup(Tree::ROOT, &name("sub")).unwrap();
        assert_eq!(
            image.lookup(sub, &name("two")),
            image.lookup(Tree::ROOT, &name("one"))
        );
    }

    #[test]
    fn two_things_at_one_place_are_named_with_both_sources() {
        let one = || {
            placed(
                "/one",
                "/etc",
                directory_of([("a", file("a")), ("l", symlink())]),
            )
        };
        assert_eq!(
            meeting(vec![one(), placed("/two", "/etc/a", Tree::new(file("b")))]),
            "two things would stand at /etc/a: a file from the contents of /one and a file from the contents of /two"
        );
        assert_eq!(
            meeting(vec![one(), placed("/two", "/etc", Tree::new(symlink()))]),
            "two things would stand at /etc: a directory from the contents of /one and a symlink from the contents of /two"
        );
        assert_eq!(
            meeting(vec![
                one(),
                placed("/two", "/etc/l/x/y", Tree::new(file("b")))
            ]),
            "two things would stand at /etc/l: a symlink from the contents of /one and a directory from the contents of /two"
        );
        assert_eq!(
            meeting(vec![
                one(),
                placed("/two", "/", directory_of([("etc", file("e"))]))
            ]),
            "two things would stand at /etc: a directory from the contents of /one and a file from the contents of /two"
        );
    }

    #[test]
    fn what_stands_in_the_images_own_places_is_named() {
        assert_eq!(
            meeting(vec![placed("/one", "/", Tree::new(file("a")))]),
            "two things would stand at /: a directory from the image's own layout and a file from the contents of /one"
        );
        assert_eq!(
            meeting(vec![placed("/one", "/nix/store", Tree::new(symlink()))]),
            "two things would stand at /nix/store: a symlink from the contents of /one and a directory from the image's own layout"
        );
        assert_eq!(
            meeting(vec![placed(
                "/one",
                "/nix-path-registration",
                Tree::new(file(""))
            )]),
            "two things would stand at /nix-path-registration: a file from the contents of /one and a file from the image's own layout"
        );
    }

    #[test]
    fn a_store_path_of_the_closure_is_left_alone() {
        let at = format!("/nix/store/{STORE_PATH}");
        let within = format!("{at}/etc/x");
        let around = directory_of([(STORE_PATH, directory(0o555))]);
        for contents in [
            placed("/one", &at, Tree::new(directory(0o555))),
            placed("/one", &within, Tree::new(file("x"))),
            placed("/one", "/nix/store", around),
        ] {
            assert_eq!(
                image(vec![contents]).unwrap_err().to_string(),
                format!(
                    "the contents of /one would stand at or in {at}, which the closure holds as it is; choose another target"
                )
            );
        }
        let another = placed("/one", "/nix/store/another", Tree::new(file("x")));
        assert!(image(vec![another]).is_ok());
    }
}
