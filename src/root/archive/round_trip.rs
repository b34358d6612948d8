//! What our own writer of archives writes is read as it was.

use std::collections::BTreeMap;
use std::fs::{self, File};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::image;
use crate::job::Job;

/// Name, kind, metadata, and which of the directories or files so far it is about.
type Step = (Vec<u8>, Option<Kind>, Metadata, Index);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec((names(), kinds(), metadata(), any::<Index>()), 0..40)
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    let lengths = prop_oneof![4 => 1..12_usize, 1 => 90..=255_usize];
    let bytes = prop_oneof![2 => 32..127_u8, 1 => 1..=255_u8];
    lengths
        .prop_flat_map(move |length| vec(bytes.clone(), length))
        .prop_filter("a name", |name| Name::new(name).is_ok())
}

/// None is one more name of a file.
fn kinds() -> impl Strategy<Value = Option<Kind>> {
    let number = || (0..=0o7_777_777_u32, 0..=0o7_777_777_u32);
    let device = |(major, minor)| DeviceNumber { major, minor };
    let content = prop_oneof![vec(any::<u8>(), 0..3), vec(any::<u8>(), 500..1100)];
    prop_oneof![
        6 => Just(Some(Kind::Directory(BTreeMap::new()))),
        6 => content.prop_map(|content| Some(Kind::File(Source::bytes(content)))),
        3 => vec(1..=255_u8, 1..300).prop_map(|target| Some(Kind::Symlink(target.into()))),
        1 => number().prop_map(move |number| Some(Kind::CharacterDevice(device(number)))),
        1 => number().prop_map(move |number| Some(Kind::BlockDevice(device(number)))),
        1 => Just(Some(Kind::Fifo)),
        4 => Just(None),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let id = || prop_oneof![0..3_000_000_u32, 0..u32::MAX];
    let seconds = prop_oneof![0..2_000_000_000_i64, -100..100_i64, -(1_i64 << 50)..1 << 50];
    let nanoseconds = prop_oneof![Just(0), 0..1_000_000_000_u32];
    let time = (seconds, nanoseconds).prop_map(|(seconds, nanoseconds)| Timestamp {
        seconds,
        nanoseconds,
    });
    let xattr = (vec(1..=255_u8, 1..30), vec(any::<u8>(), 0..50));
    let xattrs = btree_map(xattr.0, xattr.1, 0..3).prop_map(|xattrs| {
        let boxed = |(name, value): (Vec<u8>, Vec<u8>)| (name.into(), value.into());
        let xattrs: Xattrs = xattrs.into_iter().map(boxed).collect();
        (!xattrs.is_empty()).then(|| Box::new(xattrs))
    });
    (0..=0o7777_u16, id(), id(), time, xattrs).prop_map(|(mode, uid, gid, mtime, xattrs)| {
        Metadata {
            mode,
            uid,
            gid,
            mtime,
            xattrs,
        }
    })
}

fn tree(root: Metadata, steps: &[Step]) -> Tree {
    let mut tree = Tree::new(Node::directory(root));
    let mut directories = vec![Tree::ROOT];
    let mut files = Vec::new();
    for (name, kind, metadata, which) in steps {
        let parent = *which.get(&directories);
        let name = Name::new(name).unwrap();
        let Some(kind) = kind.clone() else {
            if !files.is_empty() {
                let _taken = tree.link(parent, name, *which.get(&files));
            }
            continue;
        };
        let metadata = metadata.clone().into();
        let Ok(id) = tree.insert(parent, name, Node { metadata, kind }) else {
            continue;
        };
        if tree.node(id).is_directory() {
            directories.push(id);
        } else {
            files.push(id);
        }
    }
    tree
}

/// All of a tree by path, with the first path of each node.
fn facts(tree: &Tree) -> BTreeMap<Vec<u8>, (Vec<u8>, Metadata, String)> {
    let mut facts = BTreeMap::new();
    let mut first_of = BTreeMap::new();
    let mut todo = vec![(Tree::ROOT, Vec::new())];
    while let Some((id, path)) = todo.pop() {
        let node = tree.node(id);
        let what = match &node.kind {
            Kind::Directory(_) => "directory".into(),
            Kind::File(source) => {
                let mut content = vec![0; usize::try_from(source.length).unwrap()];
                source.read_at(0, &mut content).unwrap();
                format!("{content:?}")
            }
            other => format!("{other:?}"),
        };
        let first = first_of.entry(id).or_insert_with(|| path.clone()).clone();
        let mut below: Vec<_> = tree
            .entries(id)
            .map(|(name, id)| (id, [&path, &b"/"[..], name.as_bytes()].concat()))
            .collect();
        below.reverse();
        todo.extend(below);
        facts.insert(path, (first, Metadata::clone(&node.metadata), what));
    }
    facts
}

proptest! {
    #[test]
    fn an_archive_of_ours_is_the_tree_that_it_was_made_of(
        root in metadata(), steps in steps(),
    ) {
        let tree = tree(root, &steps);
        let expected = facts(&tree);
        let pieces = crate::tar::lay_out(tree).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tar");
        let job = Job::default();
        image::write(&pieces, &File::create_new(&path).unwrap(), &job).unwrap();
        let Unpacked { tree: found, implied } = unpack(&path, Timestamp::from_seconds(1)).unwrap();
        prop_assert!(implied.is_empty());
        prop_assert_eq!(facts(&found), expected);
        let mut compressed = Vec::new();
        image::write_zstd(&pieces, &mut compressed, 1, &job).unwrap();
        prop_assert!(zstd::decode_all(&compressed[..]).unwrap() == fs::read(&path).unwrap());
    }
}
