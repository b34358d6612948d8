//! A directory tree as the kernel shows it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(PathBuf),
    /// A device, FIFO or socket: its bits of `st_mode`, and its number.
    Special(u32, u64),
}

/// A file, directory or link with all that is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds from 1970.
    pub(crate) mtime: i64,
    pub(crate) links: u64,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
}

/// All below `top`, `top` itself under the empty path.
#[track_caller]
pub(crate) fn walk(top: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut entries = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(below) = todo.pop() {
        // A trailing slash would follow a symlink at the top.
        let path = if below.as_os_str().is_empty() {
            top.to_owned()
        } else {
            top.join(&below)
        };
        let entry = entry(&path);
        if entry.kind == Kind::Directory {
            let names = fs::read_dir(&path).unwrap();
            todo.extend(names.map(|name| below.join(name.unwrap().file_name())));
        }
        entries.insert(below, entry);
    }
    entries
}

/// What stands at `path`.
#[track_caller]
pub(crate) fn entry(path: &Path) -> Entry {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => panic!("{}: {error}", path.display()),
    };
    Entry {
        kind: kind(path, &metadata),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: metadata.mtime(),
        links: metadata.nlink(),
        xattrs: xattrs(path),
    }
}

#[track_caller]
fn kind(path: &Path, metadata: &Metadata) -> Kind {
    const TYPE: u32 = 0o170_000;
    if metadata.is_dir() {
        Kind::Directory
    } else if metadata.is_file() {
        Kind::File(fs::read(path).unwrap())
    } else if metadata.is_symlink() {
        Kind::Symlink(fs::read_link(path).unwrap())
    } else {
        Kind::Special(metadata.mode() & TYPE, metadata.rdev())
    }
}

#[track_caller]
fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    names[..length]
        .split_inclusive(|byte| *byte == 0)
        .map(|name| {
            let name = OsStr::from_bytes(&name[..name.len() - 1]);
            let mut value = vec![0; 1 << 16];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            value.truncate(length);
            (name.to_str().unwrap().to_owned(), value)
        })
        .collect()
}

/// Fails unless all of the store path `host` stands at `image`, with what an image gives
/// it: root's, one second after 1970, read-only, one name per file, and no xattrs.
#[track_caller]
pub(crate) fn is_the_store_path(image: &Path, host: &Path) {
    let mut found = walk(image);
    let expected = walk(host);
    assert!(
        found.keys().eq(expected.keys()),
        "other names in {}",
        host.display()
    );
    for (path, expected) in expected {
        let found = found.remove(&path).unwrap();
        let of = || format!("{} of {}", path.display(), host.display());
        assert!(found.kind == expected.kind, "content of {}", of());
        assert_eq!(found.mode, mode_in_image(&expected), "mode of {}", of());
        assert_eq!(
            (found.uid, found.gid, found.mtime, found.xattrs),
            (0, 0, 1, BTreeMap::new()),
            "owners, time and xattrs of {}",
            of()
        );
        if found.kind != Kind::Directory {
            assert_eq!(found.links, 1, "links of {}", of());
        }
    }
}

fn mode_in_image(host: &Entry) -> u32 {
    match host.kind {
        Kind::Symlink(_) => 0o777,
        Kind::File(_) if host.mode & 0o100 == 0 => 0o444,
        _ => 0o555,
    }
}
