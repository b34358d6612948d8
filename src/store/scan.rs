//! Scanning: what a store path of the host consists of, as a tree.
//!
//! NAR semantics, nothing else: type, executable bit, content, symlink target and
//! names as bytes. The host's owners, modes, times, xattrs and hard links do not
//! reach the tree.
//!
//! Directories of all store paths are listed at once, on all threads: one store path
//! may hold most of a closure's files, and depth costs no stack.
//!
//! Nothing is opened through a symlink, from the store's directory on: who changes a store
//! path meanwhile gets an error, and no other file into the image.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, RawDir, Stat, readlinkat, statat};
use rustix::io::Errno;

use super::{Closure, ClosurePath, Content, STORE_DIRECTORY, StorePath};
use crate::error::{FirstFailure, limit_to_raise};
use crate::source::{
    Base, ChangedError, HostDirectory, HostFile, Obstacle, Origin, Source, kind, obstacle,
};
use crate::tree::{
    Metadata, Name, NameError, Node, NodeId, SharedMetadata, Timestamp, Tree, TreeBuilder,
};

/// Why a store path could not become a tree.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The builder lacks a permission.
    #[error(
        "the builder may not read {} or enter its directory; Nix keeps a directory without its x bit as 0444, so set that bit in the derivation that makes it, as `chmod -R u+X $out` does",
        path.display()
    )]
    Denied {
        /// What could not be read.
        path: PathBuf,
    },
    /// Nothing is at a path that somebody named.
    #[error(
        "there is no {} on this host; build it or copy it here first, and let it be an input of the derivation that needs it",
        path.display()
    )]
    Missing {
        /// What was named.
        path: PathBuf,
    },
    /// The host refused otherwise.
    #[error("cannot read {}{}", path.display(), limit_to_raise(source))]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Symlinks lead to it, out of the store.
    #[error(
        "symlinks at {} lead to {}, which is not below {}; name a path that lies in the store",
        path.display(), leads_to.display(), store.display()
    )]
    LeadsOut {
        /// The path on which the symlinks are.
        path: PathBuf,
        /// Where it is without symlinks.
        leads_to: PathBuf,
        /// The store's directory.
        store: PathBuf,
    },
    /// It changed while it was scanned.
    #[error(transparent)]
    Changed(#[from] ChangedError),
    /// Something that is neither file, directory nor symlink.
    #[error("{} is {kind}, which a NAR cannot hold; remove it in the derivation that makes it", path.display())]
    Special {
        /// Where it is.
        path: PathBuf,
        /// What it is, as `"a socket"`.
        kind: &'static str,
    },
    /// A name that no filesystem of ours holds.
    #[error("cannot name {} in an image", path.display())]
    Name {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with its name.
        source: NameError,
    },
}

/// The tree at `path`, a store path or a path in one. On the way to it, symlinks may lead from
/// one store path to another. Of several errors, the first in path order is reported.
pub fn scan(path: &Path, mtime: Timestamp) -> Result<Tree, ScanError> {
    let (base, below) = split(path)?;
    let mut trees = scan_all(&base, &[below], mtime, &AtomicBool::new(false))?;
    Ok(trees.swap_remove(0)) // one path gives one tree
}

/// The file at `path`, to be opened through directories alone. On the way to it, symlinks may
/// lead from one store path to another.
pub(crate) fn host_file(path: &Path) -> Result<HostFile, ScanError> {
    let (base, below) = split(path)?;
    let name = below.file_name().unwrap_or_default().as_bytes();
    let name = Name::new(name).map_err(|error| unfit(path.into(), error))?;
    let directory = HostDirectory::new(base).inner(below.parent().unwrap_or(Path::new("")));
    let directory = directory.into();
    Ok(HostFile { directory, name })
}

/// `path` as a base and what stands below it, with no symlink on the way between them.
fn split(path: &Path) -> Result<(PathBuf, PathBuf), ScanError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok((path.into(), ".".into()));
    };
    let store = Path::new(STORE_DIRECTORY);
    if parent.starts_with(store) {
        let way = real_way(store, parent)?;
        let below = way.strip_prefix(store).unwrap_or(Path::new(""));
        return Ok((store.into(), below.join(name)));
    }
    let here = parent.as_os_str().is_empty();
    let base = if here { Path::new(".") } else { parent };
    Ok((base.into(), name.into()))
}

/// The path of the directory or file `way` of the store without symlinks, which must not lead
/// out of the store. What cannot be told stays as it is, for whoever opens it.
pub(crate) fn real_way(store: &Path, way: &Path) -> Result<PathBuf, ScanError> {
    let (Ok(real), Ok(real_store)) = (way.canonicalize(), store.canonicalize()) else {
        return Ok(way.into());
    };
    match real.strip_prefix(&real_store) {
        Ok(below) if below.as_os_str().is_empty() => Ok(store.into()),
        Ok(below) => Ok(store.join(below)),
        Err(_) => Err(ScanError::LeadsOut {
            path: way.into(),
            leads_to: real,
            store: store.into(),
        }),
    }
}

/// The trees of all paths of a closure, in order: those of the host's store, and those that
/// streams describe. Once `stop` is set, no more directories are listed, and the trees are not whole.
#[expect(clippy::missing_panics_doc, reason = "there is a tree for each path")]
pub fn scan_closure(
    closure: &Closure,
    mtime: Timestamp,
    stop: &AtomicBool,
) -> Result<Vec<(StorePath, Tree)>, ScanError> {
    let live: Vec<_> = closure
        .paths()
        .filter(|path| matches!(path.content.0, Content::Live))
        .map(|path| PathBuf::from(path.path.base_name()))
        .collect();
    let mut scanned = scan_all(Path::new(STORE_DIRECTORY), &live, mtime, stop)?.into_iter();
    let tree = |path: &ClosurePath| match &path.content.0 {
        Content::Live => scanned.next().expect("there is a tree for each live path"),
        Content::Stream(tree) => tree.clone(),
    };
    let trees: Vec<_> = closure.paths().map(tree).collect();
    let paths = closure.paths().map(|path| path.path.clone());
    Ok(paths.zip(trees).collect())
}

/// Directories that are listed at once: so many that threads seldom wait for the last one, and so
/// few that what they tell of them fits into memory that was used before.
const DIRECTORIES_AT_ONCE: usize = 1024;

/// Directories that a thread lists before others may take some: few, for each round of them ends
/// when the last thread is done.
const DIRECTORIES_OF_A_THREAD: usize = 4;

/// Entries of one directory that a thread looks at before others may take some.
const ENTRIES_AT_ONCE: usize = 256;

/// Bytes of names that the kernel gives at once: some hundred names.
const LISTING_BYTES: usize = 16 << 10;

/// The trees at `tops`, which are paths below `base`.
fn scan_all(
    base: &Path,
    tops: &[PathBuf],
    mtime: Timestamp,
    stop: &AtomicBool,
) -> Result<Vec<Tree>, ScanError> {
    let Some(first) = tops.first() else {
        return Ok(Vec::new());
    };
    let scan = Scan {
        base: Base::open(base.into())
            .map_err(|errno| ScanError::reading(base.join(first), errno.into()))?,
        kinds: Kinds::new(mtime),
        failure: FirstFailure::default(),
    };
    let trees = scan.trees(tops, stop);
    scan.failure.into_result()?;
    Ok(trees.into_par_iter().map(TreeBuilder::build).collect())
}

/// A scan of paths below a base. An error does not keep it from looking at all the rest.
struct Scan {
    base: Base,
    kinds: Kinds,
    /// By the path that is at fault.
    failure: FirstFailure<PathBuf, ScanError>,
}

/// A directory that is yet to be listed.
struct Pending {
    tree: usize,
    id: NodeId,
    directory: Arc<HostDirectory>,
}

/// What stands in a directory.
#[derive(Default)]
struct Listing {
    /// In byte order.
    entries: Vec<(Name, Node)>,
    /// Those of the entries that are directories, by their places among them.
    directories: Vec<(usize, Arc<HostDirectory>)>,
}

impl Scan {
    /// The trees at `tops`; not all of them after an error, nor all of each once `stop` is set.
    fn trees(&self, tops: &[PathBuf], stop: &AtomicBool) -> Vec<TreeBuilder> {
        let look = |top: &PathBuf| self.found(look_at(&self.base, top, &self.kinds));
        let nodes: Vec<_> = tops.par_iter().map(look).collect();
        let mut trees = Vec::with_capacity(tops.len());
        let mut pending = VecDeque::new();
        for (top, node) in tops.iter().zip(nodes) {
            let Some(node) = node else { continue };
            if node.is_directory() {
                pending.push_back(Pending {
                    tree: trees.len(),
                    id: Tree::ROOT,
                    directory: self.base.directory().inner(top).into(),
                });
            }
            trees.push(TreeBuilder::new(node));
        }
        while !(pending.is_empty() || stop.load(Ordering::Relaxed)) {
            let count = pending.len().min(DIRECTORIES_AT_ONCE);
            let next = pending.drain(..count).collect();
            for (Pending { tree, id, .. }, listing) in self.list_all(next) {
                let first = trees[tree].fill(id, listing.entries);
                let below = |(place, directory)| Pending {
                    tree,
                    id: first.after(place),
                    directory,
                };
                pending.extend(listing.directories.into_iter().map(below));
            }
        }
        trees
    }

    /// What was found; an error is kept.
    fn found<T>(&self, found: Result<T, ScanError>) -> Option<T> {
        found
            .map_err(|error| self.failure.add(error.path().into(), error))
            .ok()
    }

    fn list_all(&self, directories: Vec<Pending>) -> Vec<(Pending, Listing)> {
        let list = |directory: Pending| {
            let listing = self.found(self.list(&directory.directory));
            (directory, listing.unwrap_or_default())
        };
        directories
            .into_par_iter()
            .with_max_len(DIRECTORIES_OF_A_THREAD)
            .map(list)
            .collect()
    }

    fn list(&self, directory: &Arc<HostDirectory>) -> Result<Listing, ScanError> {
        let (open, names) = names(&self.base, directory)?;
        let look = |names| self.look_at_all(open.as_fd(), directory, names);
        let mut entries = if names.len() > ENTRIES_AT_ONCE {
            let parts = names.par_chunks(ENTRIES_AT_ONCE);
            parts.flat_map_iter(|names| look(names.to_vec())).collect()
        } else {
            look(names)
        };
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let directories = entries
            .iter()
            .enumerate()
            .filter(|(_, (_, node))| node.is_directory())
            .map(|(place, (name, _))| {
                let name = OsStr::from_bytes(name.as_bytes());
                (place, Arc::new(directory.inner(name)))
            })
            .collect();
        Ok(Listing {
            entries,
            directories,
        })
    }

    /// The nodes of all that has `names` in `directory`, which is `open`.
    fn look_at_all(
        &self,
        open: BorrowedFd<'_>,
        directory: &Arc<HostDirectory>,
        names: Vec<(Name, FileType)>,
    ) -> Vec<(Name, Node)> {
        let mut entries = Vec::with_capacity(names.len());
        for (name, file_type) in names {
            let entry = look_at_entry(open, directory, name, file_type, &self.kinds);
            entries.extend(self.found(entry));
        }
        entries
    }
}

/// A directory, open, and the names and types in it.
fn names(
    base: &Base,
    directory: &HostDirectory,
) -> Result<(OwnedFd, Vec<(Name, FileType)>), ScanError> {
    let open = directory.open(base)?;
    let mut buffer = [const { MaybeUninit::uninit() }; LISTING_BYTES];
    let mut entries = RawDir::new(&open, &mut buffer);
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(|errno| ScanError::reading(directory.path(), errno.into()))?;
        let bytes = entry.file_name().to_bytes();
        if !matches!(bytes, b"." | b"..") {
            let path = || entry_path(directory, bytes);
            let name = Name::new(bytes).map_err(|error| unfit(path(), error))?;
            found.push((name, entry.file_type()));
        }
    }
    Ok((open, found))
}

/// The node of what has `name` in `directory`, which is `open`. Only a regular file costs a
/// `stat`.
fn look_at_entry(
    open: BorrowedFd<'_>,
    directory: &Arc<HostDirectory>,
    name: Name,
    file_type: FileType,
    kinds: &Kinds,
) -> Result<(Name, Node), ScanError> {
    let node = match file_type {
        FileType::Symlink => kinds.symlink(open, directory, name.as_bytes())?,
        FileType::Directory => Node::directory(kinds.executable.clone()),
        FileType::RegularFile | FileType::Unknown => {
            let stat = statat(open, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(|errno| {
                ScanError::reading(entry_path(directory, name.as_bytes()), errno.into())
            })?;
            kinds.node(open, directory, &name, &stat)?
        }
        other => return Err(special(entry_path(directory, name.as_bytes()), other)),
    };
    Ok((name, node))
}

/// The node of the path `below` a base; a directory is empty yet.
fn look_at(base: &Base, below: &Path, kinds: &Kinds) -> Result<Node, ScanError> {
    let (inner, name) = match (below.parent(), below.file_name()) {
        (Some(parent), Some(name)) => (parent, name.as_bytes()),
        _ => (Path::new(""), below.as_os_str().as_bytes()),
    };
    let directory = Arc::new(base.directory().inner(inner));
    let opened;
    let open = if inner.as_os_str().is_empty() {
        base.as_fd()
    } else {
        opened = directory.open(base).map_err(|obstacle| match obstacle {
            // Nobody has seen it before.
            Obstacle::Changed(changed) if changed.found == "gone" => ScanError::Missing {
                path: entry_path(&directory, name),
            },
            obstacle => obstacle.into(),
        })?;
        opened.as_fd()
    };
    let stat = statat(open, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| {
        let path = entry_path(&directory, name);
        match errno {
            Errno::NOENT => ScanError::Missing { path },
            errno => ScanError::reading(path, errno.into()),
        }
    })?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Ok(Node::directory(kinds.executable.clone()));
    }
    let name = Name::new(name).map_err(|error| unfit(entry_path(&directory, name), error))?;
    kinds.node(open, &directory, &name, &stat)
}

/// The metadata that a NAR leaves to a file: its type, and whether it can be executed.
struct Kinds {
    plain: SharedMetadata,
    /// Of directories too.
    executable: SharedMetadata,
    symlink: SharedMetadata,
}

impl Kinds {
    fn new(mtime: Timestamp) -> Self {
        let of_mode = |mode| Metadata::of_root(mode, mtime).into();
        Self {
            plain: of_mode(0o444),
            executable: of_mode(0o555),
            symlink: of_mode(0o777),
        }
    }

    /// The node of what `stat` tells, which has `name` in `directory`, which is `open`. A
    /// directory is empty yet.
    fn node(
        &self,
        open: BorrowedFd<'_>,
        directory: &Arc<HostDirectory>,
        name: &Name,
        stat: &Stat,
    ) -> Result<Node, ScanError> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(self.file(directory.clone(), name.clone(), stat)),
            FileType::Symlink => self.symlink(open, directory, name.as_bytes()),
            FileType::Directory => Ok(Node::directory(self.executable.clone())),
            other => Err(special(entry_path(directory, name.as_bytes()), other)),
        }
    }

    fn symlink(
        &self,
        open: BorrowedFd<'_>,
        directory: &HostDirectory,
        name: &[u8],
    ) -> Result<Node, ScanError> {
        let target = readlinkat(open, name, Vec::new()).map_err(|errno| {
            let path = entry_path(directory, name);
            obstacle(open, name, FileType::Symlink, errno, path)
        })?;
        Ok(Node::symlink(self.symlink.clone(), target.into_bytes()))
    }

    fn file(&self, directory: Arc<HostDirectory>, name: Name, stat: &Stat) -> Node {
        let is_executable = stat.st_mode & 0o100 != 0; // as Nix's archive.cc decides
        let metadata = if is_executable {
            &self.executable
        } else {
            &self.plain
        };
        let size = u64::try_from(stat.st_size).expect("no file has a negative size");
        let source = Source::new(size, Origin::HostFile(HostFile { directory, name }));
        Node::file(metadata.clone(), source)
    }
}

fn special(path: PathBuf, file_type: FileType) -> ScanError {
    let kind = kind(file_type);
    ScanError::Special { path, kind }
}

fn unfit(path: PathBuf, source: NameError) -> ScanError {
    ScanError::Name { path, source }
}

fn entry_path(directory: &HostDirectory, name: &[u8]) -> PathBuf {
    directory.path().join(OsStr::from_bytes(name))
}

impl ScanError {
    /// What is at fault.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Denied { path }
            | Self::Missing { path }
            | Self::Read { path, .. }
            | Self::Special { path, .. }
            | Self::Name { path, .. }
            | Self::LeadsOut { path, .. }
            | Self::Changed(ChangedError { path, .. }) => path,
        }
    }

    fn reading(path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Read { path, source },
        }
    }
}

impl From<Obstacle> for ScanError {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::System { path, errno } => Self::reading(path, errno.into()),
            Obstacle::Changed(changed) => changed.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::tree::Kind;

    const MTIME: Timestamp = Timestamp::from_seconds(7);

    /// Every node as a line: path, mode, and content or target.
    fn lines(tree: &Tree) -> Vec<String> {
        let mut lines = Vec::new();
        let mut todo = vec![(String::from("."), Tree::ROOT)];
        while let Some((path, id)) = todo.pop() {
            let node = tree.node(id);
            assert_eq!(node.metadata, Metadata::of_root(node.metadata.mode, MTIME));
            let content = match &node.kind {
                Kind::File(source) => format!(" {} bytes", source.length),
                Kind::Symlink(target) => format!(" -> {}", target.escape_ascii()),
                _ => String::new(),
            };
            lines.push(format!("{path} {:o}{content}", node.metadata.mode));
            for (name, id) in tree.entries(id) {
                todo.push((format!("{path}/{}", name.as_bytes().escape_ascii()), id));
            }
        }
        lines.sort();
        lines
    }

    fn temporary() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_tree_has_types_executable_bits_contents_targets_and_names_as_bytes() {
        let temporary = temporary();
        let top = temporary.path().join("top");
        fs::create_dir_all(top.join("directory")).unwrap();
        fs::write(top.join(OsStr::from_bytes(b"a \"\n\xff")), "four").unwrap();
        fs::write(top.join("x".repeat(255)), "").unwrap();
        fs::write(top.join("directory/run"), "#!").unwrap();
        let permissions = fs::Permissions::from_mode(0o4701);
        fs::set_permissions(top.join("directory/run"), permissions).unwrap();
        fs::write(top.join("not mine to run"), "").unwrap();
        let permissions = fs::Permissions::from_mode(0o611);
        fs::set_permissions(top.join("not mine to run"), permissions).unwrap();
        symlink("/no/where", top.join("link")).unwrap();
        assert_eq!(
            lines(&scan(&top, MTIME).unwrap()),
            [
                ". 555",
                r#"./a \"\n\xff 444 4 bytes"#,
                "./directory 555",
                "./directory/run 555 2 bytes",
                "./link 777 -> /no/where",
                "./not mine to run 444 0 bytes",
                &format!("./{} 444 0 bytes", "x".repeat(255)),
            ]
        );
    }

    #[test]
    fn a_directory_that_the_kernel_lists_in_many_parts_is_whole() {
        let temporary = temporary();
        let names: Vec<_> = (0..1000).map(|i| format!("{i:0>200}")).collect();
        assert!(names.concat().len() > 10 * LISTING_BYTES);
        for name in &names {
            fs::write(temporary.path().join(name), "").unwrap();
        }
        let tree = scan(temporary.path(), MTIME).unwrap();
        let found: Vec<_> = tree
            .entries(Tree::ROOT)
            .map(|(name, _)| String::from_utf8(name.as_bytes().into()).unwrap())
            .collect();
        assert_eq!(found, names);
    }

    #[test]
    fn a_file_and_a_symlink_are_trees_too() {
        let temporary = temporary();
        fs::write(temporary.path().join("file"), "four").unwrap();
        symlink("file", temporary.path().join("link")).unwrap();
        let file = scan(&temporary.path().join("file"), MTIME).unwrap();
        assert_eq!(lines(&file), [". 444 4 bytes"]);
        let Kind::File(Source {
            origin: Origin::HostFile(host_file),
            ..
        }) = &file.node(Tree::ROOT).kind
        else {
            panic!("{file:?}")
        };
        assert_eq!(host_file.path(), temporary.path().join("file"));
        let link = scan(&temporary.path().join("link"), MTIME).unwrap();
        assert_eq!(lines(&link), [". 777 -> file"]);
    }

    #[test]
    fn names_of_one_file_are_files_of_their_own() {
        let temporary = temporary();
        fs::write(temporary.path().join("one"), "four").unwrap();
        fs::hard_link(temporary.path().join("one"), temporary.path().join("two")).unwrap();
        assert_eq!(scan(temporary.path(), MTIME).unwrap().len(), 3);
    }

    #[test]
    fn trees_come_in_the_order_of_their_paths() {
        let temporary = temporary();
        let tops = ["b", "a", "c"].map(PathBuf::from);
        for (entries, top) in tops.iter().enumerate() {
            let sub = temporary.path().join(top).join("sub");
            fs::create_dir_all(&sub).unwrap();
            for entry in 0..entries {
                fs::write(sub.join(entry.to_string()), "").unwrap();
            }
        }
        let trees = scan_all(temporary.path(), &tops, MTIME, &AtomicBool::new(false)).unwrap();
        let sizes: Vec<_> = trees.iter().map(Tree::len).collect();
        assert_eq!(sizes, [2, 3, 4]);
    }

    #[test]
    fn more_directories_than_are_listed_at_once_are_all_listed() {
        let temporary = temporary();
        let count = DIRECTORIES_AT_ONCE + 7;
        for directory in 0..count {
            let directory = temporary.path().join(directory.to_string());
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("file"), "").unwrap();
        }
        let tree = scan(temporary.path(), MTIME).unwrap();
        assert_eq!(tree.len(), 1 + 2 * count);
    }

    #[test]
    fn depth_costs_no_stack() {
        let temporary = temporary();
        let depth = 1900; // a path has at most 4,095 bytes
        let deepest = temporary.path().join("d/".repeat(depth));
        fs::create_dir_all(&deepest).unwrap();
        let top = temporary.path().to_path_buf();
        let scanned = std::thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(move || scan(&top, MTIME).unwrap().len());
        assert_eq!(scanned.unwrap().join().unwrap(), depth + 1);
    }

    #[test]
    fn who_is_asked_to_stop_lists_no_directory() {
        let temporary = tempfile::tempdir().unwrap();
        fs::create_dir_all(temporary.path().join("a/b")).unwrap();
        let read = |stop| {
            let tops = [PathBuf::from("a")];
            let trees = scan_all(temporary.path(), &tops, MTIME, &AtomicBool::new(stop)).unwrap();
            trees[0].len()
        };
        assert_eq!((read(false), read(true)), (2, 1));
    }

    #[test]
    fn what_a_nar_cannot_hold_is_named_and_the_first_in_path_order_is_reported() {
        let temporary = temporary();
        let top = temporary.path();
        fs::create_dir_all(top.join("a/deep")).unwrap();
        let _socket = UnixListener::bind(top.join("b")).unwrap();
        let mkfifo = |path: &Path| {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
        };
        let error = scan(top, MTIME).unwrap_err();
        assert!(
            matches!(&error, ScanError::Special { kind: "a socket", path } if *path == top.join("b"))
        );
        // Found later, but not the first in path order.
        fs::create_dir(top.join("c")).unwrap();
        mkfifo(&top.join("c/z"));
        let error = scan(top, MTIME).unwrap_err();
        assert_eq!(error.path(), top.join("b"));
        mkfifo(&top.join("a/deep/z"));
        let error = scan(top, MTIME).unwrap_err();
        assert!(
            matches!(&error, ScanError::Special { kind: "a FIFO", path } if *path == top.join("a/deep/z"))
        );
        let error = scan(&top.join("missing"), MTIME).unwrap_err();
        assert!(matches!(&error, ScanError::Missing { path } if *path == top.join("missing")));
    }
}
