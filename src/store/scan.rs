//! Scanning: what a store path of the host consists of, as a tree.
//!
//! NAR semantics, nothing else: type, executable bit, content, symlink target and
//! names as bytes. The host's owners, modes, times, xattrs and hard links do not
//! reach the tree.
//!
//! Directories of all store paths are listed at once, on all threads: one store path
//! may hold most of a closure's files, and depth costs no stack.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::{Closure, ClosurePath, Content, StorePath};
use crate::source::{HostFile, Origin, Source};
use crate::tree::{Metadata, Name, NameError, Node, NodeId, SharedMetadata, Timestamp, Tree};

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
    /// The host refused otherwise.
    #[error("cannot read {}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
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

/// The tree at `path`, a store path or a path in one. Of several errors, the first in
/// path order is reported.
pub fn scan(path: &Path, mtime: Timestamp) -> Result<Tree, ScanError> {
    let mut trees = scan_all(&[path.to_path_buf()], mtime)?;
    Ok(trees.swap_remove(0)) // one path gives one tree
}

/// The trees of all paths of a closure, in order: those of the host's store, and those that
/// streams describe.
#[expect(clippy::missing_panics_doc, reason = "there is a tree for each path")]
pub fn scan_closure(
    closure: &Closure,
    mtime: Timestamp,
) -> Result<Vec<(StorePath, Tree)>, ScanError> {
    let live: Vec<_> = closure
        .paths()
        .filter(|path| matches!(path.content.0, Content::Live))
        .map(|path| path.path.to_path())
        .collect();
    let mut scanned = scan_all(&live, mtime)?.into_iter();
    let tree = |path: &ClosurePath| match &path.content.0 {
        Content::Live => scanned.next().expect("there is a tree for each live path"),
        Content::Stream(tree) => tree.clone(),
    };
    let trees: Vec<_> = closure.paths().map(tree).collect();
    let paths = closure.paths().map(|path| path.path.clone());
    Ok(paths.zip(trees).collect())
}

/// Directories that are listed at once. Their listings are in memory beside the trees, and those of
/// as many before them.
const DIRECTORIES_AT_ONCE: usize = 256;

/// Entries of one directory that a thread looks at before others may take some.
const ENTRIES_AT_ONCE: usize = 256;

/// A directory that is yet to be listed.
struct Pending {
    tree: usize,
    id: NodeId,
    path: Arc<PathBuf>,
}

/// What stands in a directory.
struct Listing {
    entries: Vec<(Name, Node)>,
    error: Option<ScanError>,
}

fn scan_all(tops: &[PathBuf], mtime: Timestamp) -> Result<Vec<Tree>, ScanError> {
    let kinds = &Kinds::new(mtime);
    let nodes: Vec<_> = tops.par_iter().map(|top| look_at(top, kinds)).collect();
    let mut error = None;
    let mut trees = Vec::with_capacity(tops.len());
    let mut pending = VecDeque::new();
    for (top, node) in tops.iter().zip(nodes) {
        match node {
            Ok(node) => {
                if node.is_directory() {
                    pending.push_back(Pending {
                        tree: trees.len(),
                        id: Tree::ROOT,
                        path: Arc::new(top.clone()),
                    });
                }
                trees.push(Tree::new(node));
            }
            Err(new) => keep_first(&mut error, new),
        }
    }
    // While some are listed, those before them become parts of their trees.
    let mut listed = Vec::new();
    while !(pending.is_empty() && listed.is_empty()) {
        let count = pending.len().min(DIRECTORIES_AT_ONCE);
        let next: Vec<_> = pending.drain(..count).collect();
        let (listings, below) = rayon::join(
            || list_all(next, kinds),
            || fill(&mut trees, listed, &mut error),
        );
        pending.extend(below);
        listed = listings;
    }
    trees.iter_mut().for_each(Tree::shrink);
    error.map_or(Ok(trees), Err)
}

fn list_all(directories: Vec<Pending>, kinds: &Kinds) -> Vec<(Pending, Listing)> {
    let list = |directory: Pending| {
        let listing = list(&directory.path, kinds);
        (directory, listing)
    };
    directories.into_par_iter().map(list).collect()
}

/// Puts what was `listed` into its trees; gives the directories in it.
fn fill(
    trees: &mut [Tree],
    listed: Vec<(Pending, Listing)>,
    error: &mut Option<ScanError>,
) -> Vec<Pending> {
    let mut below = Vec::new();
    for (directory, listing) in listed {
        if let Some(new) = listing.error {
            keep_first(error, new);
        }
        let tree = &mut trees[directory.tree];
        tree.fill(directory.id, listing.entries);
        below.extend(directory.below(tree));
    }
    below
}

impl Pending {
    /// The directories in it, when it is listed.
    fn below(&self, tree: &Tree) -> impl Iterator<Item = Self> {
        tree.entries(self.id)
            .filter(|(_, id)| tree.node(*id).is_directory())
            .map(|(name, id)| Self {
                tree: self.tree,
                id,
                path: Arc::new(entry_path(&self.path, name.as_bytes())),
            })
    }
}

/// Lists a directory, all of it even after an error, in byte order.
fn list(path: &Arc<PathBuf>, kinds: &Kinds) -> Listing {
    try_list(path, kinds).unwrap_or_else(|error| Listing {
        entries: Vec::new(),
        error: Some(error),
    })
}

fn try_list(path: &Arc<PathBuf>, kinds: &Kinds) -> Result<Listing, ScanError> {
    let (directory, names) = names(path)?;
    let directory = directory
        .fd()
        .map_err(|errno| ScanError::reading(path, errno.into()))?;
    // Collected one by one, for an error must not keep the others from being looked at.
    let entries: Vec<_> = names
        .into_par_iter()
        .with_min_len(ENTRIES_AT_ONCE)
        .map(|(name, file_type)| look_at_entry(directory, path, name, file_type, kinds))
        .collect();
    let mut listing = Listing {
        entries: Vec::with_capacity(entries.len()),
        error: None,
    };
    for entry in entries {
        match entry {
            Ok(entry) => listing.entries.push(entry),
            Err(error) => keep_first(&mut listing.error, error),
        }
    }
    listing.entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(listing)
}

/// The directory at `path`, open, and the names and types in it.
fn names(path: &Path) -> Result<(Dir, Vec<(Name, FileType)>), ScanError> {
    let failed = |errno: Errno| ScanError::reading(path, errno.into());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = openat(CWD, path, flags, Mode::empty())
        .and_then(Dir::new)
        .map_err(failed)?;
    let mut found = Vec::new();
    while let Some(entry) = directory.read() {
        let entry = entry.map_err(failed)?;
        let bytes = entry.file_name().to_bytes();
        if !matches!(bytes, b"." | b"..") {
            let name = Name::new(bytes).map_err(|error| unfit(entry_path(path, bytes), error))?;
            found.push((name, entry.file_type()));
        }
    }
    Ok((directory, found))
}

/// The node of what has `name` in `directory`, which is that at `path`. Only a regular file
/// costs a `stat`.
fn look_at_entry(
    directory: BorrowedFd<'_>,
    path: &Arc<PathBuf>,
    name: Name,
    file_type: FileType,
    kinds: &Kinds,
) -> Result<(Name, Node), ScanError> {
    let entry_path = || entry_path(path, name.as_bytes());
    let failed = |errno: Errno| ScanError::reading(&entry_path(), errno.into());
    let stat = || statat(directory, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed);
    let file_type = match file_type {
        FileType::Unknown => FileType::from_raw_mode(stat()?.st_mode),
        known => known,
    };
    let node = match file_type {
        FileType::RegularFile => kinds.file(path.clone(), name.clone(), &stat()?),
        FileType::Symlink => {
            let target = readlinkat(directory, name.as_bytes(), Vec::new()).map_err(failed)?;
            Node::symlink(kinds.symlink.clone(), target.into_bytes())
        }
        FileType::Directory => Node::directory(kinds.executable.clone()),
        other => return Err(special(entry_path(), other)),
    };
    Ok((name, node))
}

/// The node of a path; a directory is empty yet.
fn look_at(path: &Path, kinds: &Kinds) -> Result<Node, ScanError> {
    let failed = |error| ScanError::reading(path, error);
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let stat =
        statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| failed(errno.into()))?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let name = Name::new(path.file_name().unwrap_or_default().as_bytes())
                .map_err(|error| unfit(path.into(), error))?;
            kinds.file(Arc::new(parent.into()), name, &stat)
        }
        FileType::Symlink => {
            let target = fs::read_link(path).map_err(failed)?;
            let target = target.into_os_string().into_vec();
            Node::symlink(kinds.symlink.clone(), target)
        }
        FileType::Directory => Node::directory(kinds.executable.clone()),
        other => return Err(special(path.into(), other)),
    })
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

    fn file(&self, directory: Arc<PathBuf>, name: Name, stat: &Stat) -> Node {
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
    ScanError::Special {
        path,
        kind: match file_type {
            FileType::Fifo => "a FIFO",
            FileType::Socket => "a socket",
            FileType::BlockDevice => "a block device",
            FileType::CharacterDevice => "a character device",
            _ => "of a type that is unknown",
        },
    }
}

fn unfit(path: PathBuf, source: NameError) -> ScanError {
    ScanError::Name { path, source }
}

fn entry_path(directory: &Path, name: &[u8]) -> PathBuf {
    directory.join(OsStr::from_bytes(name))
}

/// Keeps the error whose path comes first, so that the report does not hang on the
/// order in which the host lists a directory.
fn keep_first(kept: &mut Option<ScanError>, new: ScanError) {
    if kept.as_ref().is_none_or(|kept| new.path() < kept.path()) {
        *kept = Some(new);
    }
}

impl ScanError {
    /// What is at fault.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Denied { path }
            | Self::Read { path, .. }
            | Self::Special { path, .. }
            | Self::Name { path, .. } => path,
        }
    }

    fn reading(path: &Path, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Read { path, source },
        }
    }
}

#[cfg(test)]
mod tests {
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
        let tops = ["b", "a", "c"].map(|name| temporary.path().join(name));
        for (entries, top) in tops.iter().enumerate() {
            fs::create_dir_all(top.join("sub")).unwrap();
            for entry in 0..entries {
                fs::write(top.join("sub").join(entry.to_string()), "").unwrap();
            }
        }
        let trees = scan_all(&tops, MTIME).unwrap();
        let sizes: Vec<_> = trees.iter().map(Tree::len).collect();
        assert_eq!(sizes, [2, 3, 4]);
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
        mkfifo(&top.join("a/deep/z"));
        let error = scan(top, MTIME).unwrap_err();
        assert!(
            matches!(&error, ScanError::Special { kind: "a FIFO", path } if *path == top.join("a/deep/z"))
        );
        let error = scan(&top.join("missing"), MTIME).unwrap_err();
        assert!(matches!(&error, ScanError::Read { path, .. } if *path == top.join("missing")));
    }
}
