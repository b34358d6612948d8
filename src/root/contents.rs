//! Contents: what a user wants in the image beside the closure.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::archive::{ArchiveError, Unpacked, unpack};
use super::glob::{self, GlobError};
use crate::source::Source;
use crate::spec::ContentItem;
use crate::store::{STORE_DIRECTORY, ScanError, real_way, scan};
use crate::tree::{Kind, Name, NodeId, Timestamp, Tree};

/// A tree and its place in the image.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Where it comes from, for messages.
    pub source: Arc<Path>,
    /// Names from the image's root to the tree's.
    pub target: Vec<Name>,
    /// What stands there.
    pub tree: Tree,
    /// Directories of the tree that its source implies without describing them: they
    /// leave alone the metadata of a directory that is there already.
    pub implied: BTreeSet<NodeId>,
}

/// Contents that cannot stand in an image.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// A source that Nix does not keep.
    #[error(
        "{attribute} is {}, which is not below {}; write it as \"${{path}}\" in the Nix expression, so that it is copied there",
        path.display(), store.display()
    )]
    NotInStore {
        /// What names it.
        attribute: String,
        /// The source.
        path: PathBuf,
        /// The store directory.
        store: PathBuf,
    },
    /// A source that is not there.
    #[error(
        "{attribute} is {}, and there is nothing; it must be an input of the derivation",
        path.display()
    )]
    Missing {
        /// What names it.
        attribute: String,
        /// The source.
        path: PathBuf,
    },
    /// A pattern that stands for nothing.
    #[error("{attribute} is {}, and nothing there has such a name", path.display())]
    NoMatch {
        /// What names it.
        attribute: String,
        /// The pattern.
        path: PathBuf,
    },
    /// A pattern that cannot be expanded.
    #[error("{attribute} cannot be expanded")]
    Glob {
        /// What names it.
        attribute: String,
        /// The reason.
        source: GlobError,
    },
    /// A pattern for tar files.
    #[error(
        "{attribute} is a pattern, and tar files are unpacked one by one; expected `unpack = false` beside `glob = true`"
    )]
    GlobOfArchives {
        /// What names it.
        attribute: String,
    },
    /// A file that is none, or cannot be looked at.
    #[error("{attribute} is {}, which {reason}, expected a file", path.display())]
    NoFile {
        /// What names it.
        attribute: String,
        /// The source.
        path: PathBuf,
        /// What it is instead.
        reason: &'static str,
    },
    /// A source that could not be scanned.
    #[error("{attribute} cannot be taken")]
    Scan {
        /// What names it.
        attribute: String,
        /// The reason.
        source: ScanError,
    },
    /// A source that could not be unpacked.
    #[error("{attribute} cannot be unpacked")]
    Archive {
        /// What names it.
        attribute: String,
        /// The reason.
        source: Box<ArchiveError>,
    },
}

/// The trees of `items`, the items of the list `attribute`, in their order. What has no time
/// of its own gets `mtime`.
pub fn place(
    attribute: &str,
    items: &[ContentItem],
    mtime: Timestamp,
) -> Result<Vec<Placed>, ContentsError> {
    place_from(Path::new(STORE_DIRECTORY), attribute, items, mtime)
}

/// The file at `path`, which the attribute `attribute` names, or which a symlink there leads
/// to.
pub fn file(attribute: &str, path: &Path) -> Result<Source, ContentsError> {
    file_from(Path::new(STORE_DIRECTORY), attribute, path)
}

fn place_from(
    store: &Path,
    attribute: &str,
    items: &[ContentItem],
    mtime: Timestamp,
) -> Result<Vec<Placed>, ContentsError> {
    let mut placed = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let attribute = format!("{attribute}[{index}].source");
        for (source, target) in sources(store, &attribute, item)? {
            let real = without_symlinks(store, &attribute, item, &source)?;
            let unpacked = read(&attribute, item, &real, mtime)?;
            placed.push(Placed {
                source: source.into(),
                target,
                tree: unpacked.tree,
                implied: unpacked.implied,
            });
        }
    }
    Ok(placed)
}

/// What an item stands for: paths of the host, each with its place in the image.
fn sources(
    store: &Path,
    attribute: &str,
    item: &ContentItem,
) -> Result<Vec<(PathBuf, Vec<Name>)>, ContentsError> {
    if !item.glob {
        check_source(store, attribute, &item.source)?;
        return Ok(vec![(item.source.clone(), item.target.clone())]);
    }
    let attribute = || attribute.to_owned();
    if item.unpack {
        return Err(ContentsError::GlobOfArchives {
            attribute: attribute(),
        });
    }
    check_below(store, &attribute(), &item.source)?;
    let found = glob::expand(store, &item.source).map_err(|source| ContentsError::Glob {
        attribute: attribute(),
        source,
    })?;
    if found.is_empty() {
        return Err(ContentsError::NoMatch {
            attribute: attribute(),
            path: item.source.clone(),
        });
    }
    let with_target = |path: PathBuf| {
        let name = path.file_name().expect("it is below the store");
        let name = Name::new(name.as_bytes()).expect("the host has a file of that name");
        let target = item.target.iter().cloned().chain([name]).collect();
        (path, target)
    };
    Ok(found.into_iter().map(with_target).collect())
}

/// What an item has at `source`, with the item's metadata.
fn read(
    attribute: &str,
    item: &ContentItem,
    source: &Path,
    mtime: Timestamp,
) -> Result<Unpacked, ContentsError> {
    let attribute = attribute.to_owned();
    let mut unpacked = if item.unpack {
        unpack(source, mtime).map_err(|source| ContentsError::Archive {
            attribute,
            source: Box::new(source),
        })?
    } else {
        Unpacked {
            tree: scan(source, mtime)
                .map_err(|source| ContentsError::Scan { attribute, source })?,
            implied: BTreeSet::new(),
        }
    };
    apply(item, &mut unpacked);
    Ok(unpacked)
}

/// `source` by a way without symlinks, which must stay in the store. A tar file may be one
/// itself.
fn without_symlinks(
    store: &Path,
    attribute: &str,
    item: &ContentItem,
    source: &Path,
) -> Result<PathBuf, ContentsError> {
    let real = match (source.parent(), source.file_name()) {
        (Some(parent), Some(name)) if !item.unpack => {
            real_way(store, parent).map(|way| way.join(name))
        }
        _ => real_way(store, source),
    };
    real.map_err(|source| ContentsError::Scan {
        attribute: attribute.into(),
        source,
    })
}

fn file_from(store: &Path, attribute: &str, path: &Path) -> Result<Source, ContentsError> {
    check_source(store, attribute, path)?;
    let found = path.canonicalize();
    let path = found.as_deref().unwrap_or(path);
    check_source(store, attribute, path)?;
    let tree = scan(path, Timestamp::from_seconds(0)).map_err(|source| ContentsError::Scan {
        attribute: attribute.into(),
        source,
    })?;
    let no_file = |reason| ContentsError::NoFile {
        attribute: attribute.into(),
        path: path.into(),
        reason,
    };
    match &tree.node(Tree::ROOT).kind {
        Kind::File(source) => Ok(source.clone()),
        Kind::Symlink(_) => Err(no_file("is a symlink that leads nowhere")),
        _ => Err(no_file("is a directory")),
    }
}

fn check_source(store: &Path, attribute: &str, path: &Path) -> Result<(), ContentsError> {
    check_below(store, attribute, path)?;
    match path.symlink_metadata() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(ContentsError::Missing {
                attribute: attribute.into(),
                path: path.into(),
            })
        }
        _ => Ok(()), // the scan reports what else is wrong
    }
}

fn check_below(store: &Path, attribute: &str, path: &Path) -> Result<(), ContentsError> {
    let below = path.strip_prefix(store).ok().is_some_and(|below| {
        below.components().next().is_some()
            && below
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
    });
    if !below {
        return Err(ContentsError::NotInStore {
            attribute: attribute.into(),
            path: path.into(),
            store: store.into(),
        });
    }
    Ok(())
}

/// Owner, group and time hold for all of the tree, and the mode too if it is recursive; else
/// it and xattrs are the top's. What has a mode is no longer implied.
fn apply(item: &ContentItem, unpacked: &mut Unpacked) {
    for node in unpacked.tree.nodes_mut() {
        let metadata = &mut node.metadata;
        metadata.uid = item.uid.unwrap_or(metadata.uid);
        metadata.gid = item.gid.unwrap_or(metadata.gid);
        metadata.mtime = item.mtime.unwrap_or(metadata.mtime);
    }
    if let (true, Some(mode)) = (item.recursive_mode, item.mode) {
        for node in unpacked.tree.nodes_mut() {
            if matches!(node.kind, Kind::File(_) | Kind::Directory(_)) {
                node.metadata.mode = mode;
            }
        }
        unpacked.implied.clear();
    }
    let top = &mut unpacked.tree.node_mut(Tree::ROOT).metadata;
    top.mode = item.mode.unwrap_or(top.mode);
    if !item.xattrs.is_empty() {
        let xattrs = top.xattrs.get_or_insert_default();
        xattrs.extend(item.xattrs.clone());
    }
    if item.mode.is_some() || !item.xattrs.is_empty() {
        unpacked.implied.remove(&Tree::ROOT);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::tree::{Metadata, Xattrs};

    const MTIME: Timestamp = Timestamp::from_seconds(1);

    fn item(source: PathBuf) -> ContentItem {
        ContentItem {
            source,
            unpack: false,
            glob: false,
            recursive_mode: false,
            target: vec![Name::new("etc").unwrap()],
            mode: None,
            uid: None,
            gid: None,
            mtime: None,
            xattrs: Xattrs::new(),
        }
    }

    /// A store of one path, `s`, a directory of a file and a symlink.
    fn store() -> (tempfile::TempDir, PathBuf) {
        let store = tempfile::tempdir().unwrap();
        let path = store.path().join("s");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "content").unwrap();
        symlink("file", path.join("link")).unwrap();
        (store, path)
    }

    fn placed(store: &Path, item: ContentItem) -> Result<Placed, ContentsError> {
        Ok(place_from(store, "contents", &[item], MTIME)?.remove(0))
    }

    #[test]
    fn without_wishes_a_source_is_as_the_store_has_it() {
        let (store, path) = store();
        let placed = self::placed(store.path(), item(path.clone())).unwrap();
        assert_eq!(&*placed.source, path);
        assert_eq!(placed.target, [Name::new("etc").unwrap()]);
        let top = placed.tree.node(Tree::ROOT);
        assert_eq!(top.metadata, Metadata::of_root(0o555, MTIME));
        assert_eq!(placed.tree.len(), 3);
    }

    #[test]
    fn a_symlink_stays_a_symlink() {
        let (store, path) = store();
        let placed = self::placed(store.path(), item(path.join("link"))).unwrap();
        let top = placed.tree.node(Tree::ROOT);
        assert!(matches!(&top.kind, Kind::Symlink(target) if **target == *b"file"));
    }

    #[test]
    fn owner_and_time_hold_for_all_and_mode_and_xattrs_for_the_top() {
        let (store, path) = store();
        let xattrs: Xattrs = [(b"user.x"[..].into(), b"y"[..].into())].into();
        let wish = ContentItem {
            mode: Some(0o1700),
            uid: Some(70_000),
            gid: Some(5),
            mtime: Some(Timestamp::from_seconds(-9)),
            xattrs: xattrs.clone(),
            ..item(path)
        };
        let tree = self::placed(store.path(), wish).unwrap().tree;
        let expected = |mode, xattrs| Metadata {
            mode,
            uid: 70_000,
            gid: 5,
            mtime: Timestamp::from_seconds(-9),
            xattrs,
        };
        let top = &tree.node(Tree::ROOT).metadata;
        assert_eq!(*top, expected(0o1700, Some(Box::new(xattrs))));
        let file = tree
            .lookup(Tree::ROOT, &Name::new("file").unwrap())
            .unwrap();
        assert_eq!(tree.node(file).metadata, expected(0o444, None));
    }

    #[test]
    fn a_file_is_found_behind_symlinks_within_the_store() {
        let (store, path) = store();
        let find = |name: &str| file_from(store.path(), "raw", &path.join(name));
        assert_eq!(find("file").unwrap().length, 7);
        assert_eq!(find("link").unwrap().length, 7);
        let error = file_from(store.path(), "raw", &path).unwrap_err();
        assert!(error.to_string().contains("is a directory"), "{error}");
        symlink("nowhere", path.join("dangling")).unwrap();
        let error = find("dangling").unwrap_err().to_string();
        assert!(error.contains("leads nowhere"), "{error}");
        symlink("/proc/version", path.join("out")).unwrap();
        let error = find("out").unwrap_err();
        assert!(matches!(error, ContentsError::NotInStore { .. }), "{error}");
    }

    #[test]
    fn a_recursive_mode_is_that_of_files_and_directories() {
        let (store, path) = store();
        fs::create_dir(path.join("d")).unwrap();
        let wish = ContentItem {
            mode: Some(0o700),
            recursive_mode: true,
            ..item(path)
        };
        let tree = self::placed(store.path(), wish).unwrap().tree;
        let mode = |name: &str| {
            let id = tree.lookup(Tree::ROOT, &Name::new(name).unwrap());
            tree.node(id.unwrap()).metadata.mode
        };
        assert_eq!(tree.node(Tree::ROOT).metadata.mode, 0o700);
        assert_eq!(
            (mode("d"), mode("file"), mode("link")),
            (0o700, 0o700, 0o777)
        );
    }

    #[test]
    fn what_a_pattern_stands_for_keeps_its_names() {
        let (store, path) = store();
        let wish = |pattern: &str| ContentItem {
            glob: true,
            mode: Some(0o600),
            ..item(path.join(pattern))
        };
        let placed = place_from(store.path(), "contents", &[wish("*")], MTIME).unwrap();
        let targets: Vec<_> = placed.iter().map(|placed| placed.target.clone()).collect();
        let target = |name| ["etc", name].map(|name| Name::new(name).unwrap()).to_vec();
        assert_eq!(targets, [target("file"), target("link")]);
        assert_eq!(&*placed[0].source, path.join("file"));
        assert_eq!(placed[0].tree.node(Tree::ROOT).metadata.mode, 0o600);

        let error = |item| place_from(store.path(), "contents", &[item], MTIME).unwrap_err();
        let nothing = error(wish("x*"));
        let message = format!(
            "contents[0].source is {}, and nothing there has such a name",
            path.join("x*").display()
        );
        assert_eq!(nothing.to_string(), message);
        let outside = error(ContentItem {
            source: "/etc/*".into(),
            ..wish("")
        });
        assert!(matches!(outside, ContentsError::NotInStore { .. }));
        let archives = error(ContentItem {
            unpack: true,
            ..wish("*")
        });
        assert!(matches!(archives, ContentsError::GlobOfArchives { .. }));
    }

    #[test]
    fn a_source_must_lie_in_the_store_and_be_there() {
        let (store, path) = store();
        let place = |source: PathBuf| {
            let items = [item(path.clone()), item(source)];
            place_from(store.path(), "contents", &items, MTIME).unwrap_err()
        };
        for elsewhere in [
            "/etc/passwd".into(),
            store.path().into(),
            path.join("../../x"),
            "s".into(),
        ] {
            let error = place(elsewhere);
            assert!(
                matches!(&error, ContentsError::NotInStore { attribute, .. } if attribute == "contents[1].source"),
                "{error}"
            );
        }
        for missing in ["missing", "file/x"] {
            let error = place(path.join(missing));
            assert!(
                matches!(&error, ContentsError::Missing { attribute, .. } if attribute == "contents[1].source"),
                "{error}"
            );
        }
    }

    #[test]
    fn symlinks_on_the_way_to_a_source_lead_to_it_within_the_store_alone() {
        let (store, path) = store();
        fs::create_dir(store.path().join("other")).unwrap();
        fs::write(store.path().join("other/file"), "four").unwrap();
        symlink("../other", path.join("inside")).unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "secret").unwrap();
        symlink(outside.path(), path.join("outside")).unwrap();
        symlink(outside.path().join("file"), path.join("tar")).unwrap();

        let found = placed(store.path(), item(path.join("inside/file"))).unwrap();
        let Kind::File(source) = &found.tree.node(Tree::ROOT).kind else {
            panic!("{found:?}")
        };
        assert_eq!(source.length, 4);
        let tar = ContentItem {
            unpack: true,
            ..item(path.join("tar"))
        };
        for wish in [item(path.join("outside/file")), tar] {
            let error = placed(store.path(), wish).unwrap_err();
            let real = outside.path().canonicalize().unwrap().join("file");
            assert!(
                matches!(&error, ContentsError::Scan { source: ScanError::LeadsOut { leads_to, .. }, .. } if real.starts_with(leads_to)),
                "{error}"
            );
        }
    }
}
