//! Scanning: what a store path of the host consists of, as a tree.
//!
//! NAR semantics, nothing else: type, executable bit, content, symlink target and
//! names as bytes. The host's owners, modes, times, xattrs and hard links do not
//! reach the tree.
//!
//! All directories of one depth are listed at once, on all threads: one store path
//! may hold most of a closure's files, and depth costs no stack.

use std::fs::{self, DirEntry, FileType, Metadata as Stat};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::{Closure, ClosurePath, Content, StorePath};
use crate::source::{HostFile, Origin, Source};
use crate::tree::{Metadata, Name, NameError, Node, NodeId, Timestamp, Tree};

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

/// A directory that is yet to be listed.
struct Pending {
    tree: usize,
    id: NodeId,
    path: Arc<Path>,
}

/// What stands in a directory.
struct Listing {
    entries: Vec<(Name, Node)>,
    error: Option<ScanError>,
}

fn scan_all(tops: &[PathBuf], mtime: Timestamp) -> Result<Vec<Tree>, ScanError> {
    let nodes: Vec<_> = tops.par_iter().map(|top| look_at(top, mtime)).collect();
    let mut error = None;
    let mut trees = Vec::with_capacity(tops.len());
    let mut pending = Vec::new();
    for (top, node) in tops.iter().zip(nodes) {
        match node {
            Ok(node) => {
                if node.is_directory() {
                    pending.push(Pending {
                        tree: trees.len(),
                        id: Tree::ROOT,
                        path: top.as_path().into(),
                    });
                }
                trees.push(Tree::new(node));
            }
            Err(new) => keep_first(&mut error, new),
        }
    }
    while !pending.is_empty() {
        let listings: Vec<_> = pending
            .par_iter()
            .map(|directory| list(&directory.path, mtime))
            .collect();
        let mut deeper = Vec::new();
        for (directory, listing) in pending.iter().zip(listings) {
            listing
                .error
                .into_iter()
                .for_each(|new| keep_first(&mut error, new));
            put(
                &mut trees[directory.tree],
                directory,
                listing.entries,
                &mut deeper,
            );
        }
        pending = deeper;
    }
    error.map_or(Ok(trees), Err)
}

/// Puts `entries` into their directory, and the directories among them into `deeper`.
fn put(
    tree: &mut Tree,
    directory: &Pending,
    entries: Vec<(Name, Node)>,
    deeper: &mut Vec<Pending>,
) {
    for (name, node) in entries {
        let path = node
            .is_directory()
            .then(|| entry_path(&directory.path, &name));
        let id = tree
            .insert(directory.id, name, node)
            .expect("a directory of the host has a name once");
        deeper.extend(path.map(|path| Pending {
            tree: directory.tree,
            id,
            path: path.into(),
        }));
    }
}

/// Lists a directory, all of it even after an error, in byte order.
fn list(directory: &Arc<Path>, mtime: Timestamp) -> Listing {
    let mut listing = Listing {
        entries: Vec::new(),
        error: None,
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            listing.error = Some(ScanError::reading(directory, error));
            return listing;
        }
    };
    for entry in entries {
        let entry = entry.map_err(|error| ScanError::reading(directory, error));
        match entry.and_then(|entry| look_at_entry(directory, &entry, mtime)) {
            Ok(entry) => listing.entries.push(entry),
            Err(error) => keep_first(&mut listing.error, error),
        }
    }
    listing.entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    listing
}

/// The node of an entry; a directory is empty yet. Only a regular file costs a `stat`.
fn look_at_entry(
    directory: &Arc<Path>,
    entry: &DirEntry,
    mtime: Timestamp,
) -> Result<(Name, Node), ScanError> {
    let path = || entry.path();
    let name = name(&path(), entry.file_name().as_bytes())?;
    let kind = entry
        .file_type()
        .map_err(|error| ScanError::reading(&path(), error))?;
    let node = if kind.is_file() {
        let stat = entry
            .metadata()
            .map_err(|error| ScanError::reading(&path(), error))?;
        file(directory.clone(), name.clone(), &stat, mtime)
    } else {
        not_a_file(&path(), kind, mtime)?
    };
    Ok((name, node))
}

/// The node of a path; a directory is empty yet.
fn look_at(path: &Path, mtime: Timestamp) -> Result<Node, ScanError> {
    let stat = fs::symlink_metadata(path).map_err(|error| ScanError::reading(path, error))?;
    if !stat.is_file() {
        return not_a_file(path, stat.file_type(), mtime);
    }
    let directory = path.parent().unwrap_or(Path::new("")).into();
    let name = name(path, path.file_name().unwrap_or_default().as_bytes())?;
    Ok(file(directory, name, &stat, mtime))
}

fn file(directory: Arc<Path>, name: Name, stat: &Stat, mtime: Timestamp) -> Node {
    let executable = stat.permissions().mode() & 0o100 != 0; // as Nix's archive.cc decides
    let mode = if executable { 0o555 } else { 0o444 };
    let source = Source::new(stat.len(), Origin::HostFile(HostFile { directory, name }));
    Node::file(Metadata::of_root(mode, mtime), source)
}

fn not_a_file(path: &Path, kind: FileType, mtime: Timestamp) -> Result<Node, ScanError> {
    if kind.is_dir() {
        return Ok(Node::directory(Metadata::of_root(0o555, mtime)));
    }
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(|error| ScanError::reading(path, error))?;
        let target = target.into_os_string().into_vec();
        return Ok(Node::symlink(Metadata::of_root(0o777, mtime), target));
    }
    Err(ScanError::Special {
        path: path.into(),
        kind: if kind.is_fifo() {
            "a FIFO"
        } else if kind.is_socket() {
            "a socket"
        } else if kind.is_block_device() {
            "a block device"
        } else if kind.is_char_device() {
            "a character device"
        } else {
            "of a type that is unknown"
        },
    })
}

fn name(path: &Path, bytes: &[u8]) -> Result<Name, ScanError> {
    Name::new(bytes).map_err(|source| ScanError::Name {
        path: path.into(),
        source,
    })
}

fn entry_path(directory: &Path, name: &Name) -> PathBuf {
    directory.join(std::ffi::OsStr::from_bytes(name.as_bytes()))
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
    use std::ffi::OsStr;
    use std::os::unix::fs::symlink;
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
