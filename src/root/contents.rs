//! Contents: what a user wants in the image beside the closure.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::archive::{ArchiveError, Unpacked, unpack};
use crate::spec::ContentItem;
use crate::store::{STORE_DIRECTORY, ScanError, scan};
use crate::tree::{Name, NodeId, Timestamp, Tree};

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
        "nix2image.contents[{index}].source is {}, which is not below {}; write it as \"${{path}}\" in the Nix expression, so that it is copied there",
        path.display(), store.display()
    )]
    NotInStore {
        /// Its number among the contents, from 0.
        index: usize,
        /// The source.
        path: PathBuf,
        /// The store directory.
        store: PathBuf,
    },
    /// A source that is not there.
    #[error(
        "nix2image.contents[{index}].source is {}, and there is nothing; a source must be an input of the derivation",
        path.display()
    )]
    Missing {
        /// Its number among the contents, from 0.
        index: usize,
        /// The source.
        path: PathBuf,
    },
    /// A source that could not be scanned.
    #[error("nix2image.contents[{index}].source cannot be taken")]
    Scan {
        /// Its number among the contents, from 0.
        index: usize,
        /// The reason.
        source: ScanError,
    },
    /// A source that could not be unpacked.
    #[error("nix2image.contents[{index}].source cannot be unpacked")]
    Archive {
        /// Its number among the contents, from 0.
        index: usize,
        /// The reason.
        source: ArchiveError,
    },
}

/// The trees of `items`, in their order. What has no time of its own gets `mtime`.
pub fn place(items: &[ContentItem], mtime: Timestamp) -> Result<Vec<Placed>, ContentsError> {
    place_from(Path::new(STORE_DIRECTORY), items, mtime)
}

fn place_from(
    store: &Path,
    items: &[ContentItem],
    mtime: Timestamp,
) -> Result<Vec<Placed>, ContentsError> {
    let place = |(index, item): (usize, &ContentItem)| {
        check_source(store, index, &item.source)?;
        let mut unpacked = if item.unpack {
            unpack(&item.source, mtime)
                .map_err(|source| ContentsError::Archive { index, source })?
        } else {
            let tree = scan(&item.source, mtime)
                .map_err(|source| ContentsError::Scan { index, source })?;
            Unpacked {
                tree,
                implied: BTreeSet::new(),
            }
        };
        apply(item, &mut unpacked);
        Ok(Placed {
            source: item.source.as_path().into(),
            target: item.target.clone(),
            tree: unpacked.tree,
            implied: unpacked.implied,
        })
    };
    items.iter().enumerate().map(place).collect()
}

fn check_source(store: &Path, index: usize, path: &Path) -> Result<(), ContentsError> {
    let below = path.strip_prefix(store).ok().is_some_and(|below| {
        below.components().next().is_some()
            && below
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
    });
    if !below {
        return Err(ContentsError::NotInStore {
            index,
            path: path.into(),
            store: store.into(),
        });
    }
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ContentsError::Missing {
            index,
            path: path.into(),
        }),
        _ => Ok(()), // the scan reports what else is wrong
    }
}

/// Owner, group and time hold for all of the tree; mode and xattrs for its top, which
/// is then no longer implied.
fn apply(item: &ContentItem, unpacked: &mut Unpacked) {
    for node in unpacked.tree.nodes_mut() {
        let metadata = &mut node.metadata;
        metadata.uid = item.uid.unwrap_or(metadata.uid);
        metadata.gid = item.gid.unwrap_or(metadata.gid);
        metadata.mtime = item.mtime.unwrap_or(metadata.mtime);
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
    use crate::tree::{Kind, Metadata, Xattrs};

    const MTIME: Timestamp = Timestamp::from_seconds(1);

    fn item(source: PathBuf) -> ContentItem {
        ContentItem {
            source,
            unpack: false,
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

    fn place_one(store: &Path, item: ContentItem) -> Result<Placed, ContentsError> {
        Ok(place_from(store, &[item], MTIME)?.remove(0))
    }

    #[test]
    fn without_wishes_a_source_is_as_the_store_has_it() {
        let (store, path) = store();
        let placed = place_one(store.path(), item(path.clone())).unwrap();
        assert_eq!(&*placed.source, path);
        assert_eq!(placed.target, [Name::new("etc").unwrap()]);
        let top = placed.tree.node(Tree::ROOT);
        assert_eq!(top.metadata, Metadata::of_root(0o555, MTIME));
        assert_eq!(placed.tree.len(), 3);
    }

    #[test]
    fn a_symlink_stays_a_symlink() {
        let (store, path) = store();
        let placed = place_one(store.path(), item(path.join("link"))).unwrap();
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
        let tree = place_one(store.path(), wish).unwrap().tree;
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
    fn a_source_must_lie_in_the_store_and_be_there() {
        let (store, path) = store();
        let place = |source: PathBuf| {
            let items = [item(path.clone()), item(source)];
            place_from(store.path(), &items, MTIME).unwrap_err()
        };
        for elsewhere in [
            "/etc/passwd".into(),
            store.path().into(),
            path.join("../../x"),
            "s".into(),
        ] {
            let error = place(elsewhere);
            assert!(
                matches!(error, ContentsError::NotInStore { index: 1, .. }),
                "{error}"
            );
        }
        let error = place(path.join("missing"));
        assert!(
            matches!(error, ContentsError::Missing { index: 1, .. }),
            "{error}"
        );
        let error = place(path.join("file/x"));
        assert!(
            matches!(error, ContentsError::Scan { index: 1, .. }),
            "{error}"
        );
    }
}
