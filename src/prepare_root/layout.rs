//! What stands in the root beside its store paths, laid into a directory.

use super::PrepareRootError;
use crate::directory::{Directory, DirectoryError, Found, Ownership, Writing};
use crate::job::Job;
use crate::root::{self, NIXOS_MARK, NixosRoot};
use crate::source::Source;
use crate::store::{
    DATABASE_NAME, SCHEMA_VERSION_NAME, STORE_DIRECTORY, ValidPath, encode_database,
};
use crate::tree::{Kind, Metadata, Name, Node, NodeId, Timestamp, Tree};

/// The directory of the database, from the root on.
pub(super) const DATABASE_DIRECTORY: &str = "nix/var/nix/db";

/// The mode of a mark that is there while the root is not finished.
const UNFINISHED_MODE: u16 = 0;

/// The mode of the database and the number of its schema, as Nix makes them.
const RECORD_MODE: u16 = 0o644;

/// A root that is being laid.
pub(super) struct Layout<'a> {
    target: &'a Directory,
    tree: &'a Tree,
    ownership: Ownership,
    /// What is written here is small, and is not interrupted.
    uninterrupted: Job,
    /// Whether it was finished when we began.
    is_finished: bool,
    /// Directories of the tree beside what stands in the store, the outer ones first.
    directories: Vec<Place>,
    /// Everything else there.
    others: Vec<Place>,
}

/// A node of the tree.
struct Place {
    /// Names from the root on.
    path: Vec<Name>,
    id: NodeId,
}

impl<'a> Layout<'a> {
    /// Looks whether `target` is finished; changes nothing.
    pub(super) fn new(
        target: &'a Directory,
        tree: &'a Tree,
        ownership: Ownership,
    ) -> Result<Self, DirectoryError> {
        let mut layout = Self {
            target,
            tree,
            ownership,
            uninterrupted: Job::default(),
            is_finished: mark(target)?.is_some_and(|mark| mark.mode() != UNFINISHED_MODE),
            directories: Vec::new(),
            others: Vec::new(),
        };
        let store = names(&STORE_DIRECTORY[1..]);
        let mut todo = vec![(Vec::new(), Tree::ROOT)];
        while let Some((path, id)) = todo.pop() {
            if !tree.node(id).is_directory() {
                layout.others.push(Place { path, id });
                continue;
            }
            if path != store {
                todo.extend(tree.entries(id).map(|(name, id)| {
                    let path = path.iter().chain([name]).cloned().collect();
                    (path, id)
                }));
            }
            layout.directories.push(Place { path, id });
        }
        Ok(layout)
    }

    /// Whether the root was finished when we began.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Makes the directories that are missing.
    pub(super) fn make_directories(&self) -> Result<(), DirectoryError> {
        self.target.sweep()?;
        for place in &self.directories {
            if let Some((name, parents)) = place.path.split_last() {
                let parent = enter(self.target, parents)?;
                let metadata = &self.tree.node(place.id).metadata;
                parent.ensure(name, metadata, self.ownership)?.sweep()?;
            }
        }
        Ok(())
    }

    /// Puts everything but directories, the mark and the database in its place.
    pub(super) fn put_links(&self) -> Result<(), DirectoryError> {
        let mark = names(NIXOS_MARK);
        let mut places = Vec::new();
        for place in self.others.iter().filter(|place| place.path != mark) {
            let (name, parents) = place.path.split_last().expect("the root is a directory");
            let parent = enter(self.target, parents)?;
            let is_there = parent.look(name)?.is_some();
            places.push((
                is_there,
                distance(self.tree.node(place.id)),
                parent,
                name,
                place.id,
            ));
        }
        // What is new leads to what is there, and nothing leads to what is new, before what
        // is there is changed.
        places.sort_by_key(|(is_there, distance, ..)| (*is_there, *distance));
        for (_, _, parent, name, id) in places {
            self.put(&parent, name, self.tree.node(id))?;
        }
        Ok(())
    }

    /// Puts `records`, if given, as the whole of the database, which nobody has open.
    pub(super) fn finish_database(
        &self,
        records: Option<&[ValidPath]>,
        time: Timestamp,
    ) -> Result<(), PrepareRootError> {
        let directory = enter(self.target, &names(DATABASE_DIRECTORY))?;
        match records {
            Some(records) if !is_in_use(&directory)? => {
                let bytes = encode_database(records.iter(), time.seconds)?;
                let nixos = NixosRoot {
                    database: Some(Source::bytes(bytes)),
                    ..NixosRoot::default()
                };
                let tree = root::tree(Some(&nixos), Vec::new(), Vec::new(), None, time)?;
                let id = names(DATABASE_DIRECTORY)
                    .iter()
                    .fold(Tree::ROOT, |id, name| {
                        tree.lookup(id, name).expect("a root has it")
                    });
                for (name, id) in tree.entries(id) {
                    self.put(&directory, name, tree.node(id))?;
                }
            }
            _ => {
                for name in [DATABASE_NAME, SCHEMA_VERSION_NAME]
                    .into_iter()
                    .flat_map(names)
                {
                    if let Some(found) = directory.look(&name)? {
                        let metadata = Metadata::of_root(RECORD_MODE, found.mtime());
                        directory.set_metadata_of(&name, &metadata, self.ownership)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives the directories their metadata, and says that the root is finished.
    pub(super) fn finish(&self) -> Result<(), DirectoryError> {
        let nix = names("nix");
        for place in &self.directories {
            if !self.is_finished || place.path.starts_with(&nix) {
                let metadata = &self.tree.node(place.id).metadata;
                enter(self.target, &place.path)?.set_metadata(metadata, self.ownership)?;
            }
        }
        if !self.is_finished {
            self.put_mark()?;
        }
        Ok(())
    }

    /// Puts the mark, and changes its mode last: nothing may be left to be done when it says
    /// that the root is finished, not even the time of its directory.
    fn put_mark(&self) -> Result<(), DirectoryError> {
        let place = self
            .others
            .iter()
            .find(|place| place.path == names(NIXOS_MARK));
        let place = place.expect("every root has the mark");
        let (name, parents) = place.path.split_last().expect("the root is a directory");
        let parent = enter(self.target, parents)?;
        let node = self.tree.node(place.id);
        let mut unfinished = node.clone();
        unfinished.metadata.mode = UNFINISHED_MODE;
        if parent.look(name)?.is_none() {
            parent.replace(name, &unfinished, &self.writing())?;
        }
        parent.set_metadata_of(name, &unfinished.metadata, self.ownership)?;
        let directory = self.directories.iter().find(|place| place.path == parents);
        let directory = directory.expect("a file is in a directory");
        parent.set_metadata(&self.tree.node(directory.id).metadata, self.ownership)?;
        parent.set_metadata_of(name, &node.metadata, self.ownership)
    }

    /// Puts a file or symlink in its place, if it is not there.
    fn put(&self, parent: &Directory, name: &Name, node: &Node) -> Result<(), DirectoryError> {
        if !parent.has_same(name, node)? {
            return parent.replace(name, node, &self.writing());
        }
        if self.is_finished {
            return Ok(());
        }
        parent.set_metadata_of(name, &node.metadata, self.ownership)
    }

    fn writing(&self) -> Writing<'_> {
        Writing {
            ownership: self.ownership,
            job: &self.uninterrupted,
            watch: &(),
        }
    }
}

/// What says that the root is finished, if something does.
fn mark(target: &Directory) -> Result<Option<Found>, DirectoryError> {
    let path = names(NIXOS_MARK);
    let (name, parents) = path.split_last().expect("the path has names");
    match find(target, parents)? {
        None => Ok(None),
        Some(parent) => parent.look(name),
    }
}

/// Whether somebody has the database open, or died with it: its file is not all of it then.
fn is_in_use(directory: &Directory) -> Result<bool, DirectoryError> {
    for suffix in ["-journal", "-wal", "-shm"] {
        for name in names(&format!("{DATABASE_NAME}{suffix}")) {
            if directory.look(&name)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// How many other symlinks a symlink leads to, at most: what stands in the store to none, a
/// name in the same directory to one of those.
fn distance(node: &Node) -> u8 {
    match &node.kind {
        Kind::Symlink(target) if target.starts_with(STORE_DIRECTORY.as_bytes()) => 0,
        Kind::Symlink(target) if !target.contains(&b'/') => 1,
        _ => 2,
    }
}

/// The names in `path`.
pub(super) fn names(path: &str) -> Vec<Name> {
    let name = |name| Name::new(name).expect("paths of the policy consist of names");
    path.split('/').map(name).collect()
}

/// The directory at `names`, if there is one.
pub(super) fn find(
    target: &Directory,
    names: &[Name],
) -> Result<Option<Directory>, DirectoryError> {
    let mut directory = target.again()?;
    for name in names {
        match directory.enter(name)? {
            Some(inner) => directory = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(directory))
}

/// The directory at `names`, which was made.
pub(super) fn enter(target: &Directory, names: &[Name]) -> Result<Directory, DirectoryError> {
    let mut directory = target.again()?;
    for name in names {
        directory = directory.enter_existing(name)?;
    }
    Ok(directory)
}
