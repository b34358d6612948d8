use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::source::{HostDirectory, HostFile, Origin};
use crate::store::nar::samples::{make, samples};
use crate::store::{Input, Member, scan};
use crate::tree::Timestamp;

fn closure_of(tree: &Tree) -> Closure {
    let name = format!("{}-a", "0".repeat(StorePath::HASH_LENGTH));
    let member = Member {
        path: StorePath::from_base_name(&name).unwrap(),
        nar: None,
        references: Vec::new(),
        ca: None,
        offset: None,
        content: Content::Stream(tree.clone()),
    };
    let input = Input {
        name: "input".into(),
        members: vec![member],
    };
    Closure::new([input]).unwrap()
}

fn sources(tree: &Tree) -> impl Iterator<Item = &Source> {
    nar::walk(tree).filter_map(|event| match event {
        nar::Event::File { source, .. } => Some(source),
        _ => None,
    })
}

fn every_other_file(tree: &Tree) -> Vec<Source> {
    sources(tree).step_by(2).cloned().collect()
}

/// Shows the marked files of `tree` that are not among `unshown`, in pieces of `step`
/// bytes.
fn show(tree: &Tree, watch: &NarWatch, step: u64, unshown: &[Source]) {
    for source in sources(tree) {
        if unshown.iter().any(|unshown| unshown.mark == source.mark) {
            continue;
        }
        let mut start = 0;
        while start < source.length {
            let length = step.min(source.length - start);
            let mut bytes = vec![0; usize::try_from(length).unwrap()];
            source.read_at(start, &mut bytes).unwrap();
            watch.see(source.mark.unwrap(), start, &bytes);
            start += length;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_watched_tree_has_the_hash_of_its_nar(sample in samples(), step in 1..40_u64) {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path().join("top");
        make(&sample, &top);
        let tree = scan(&top, Timestamp::from_seconds(1)).unwrap();
        let closure = closure_of(&tree);
        let path = closure.paths().next().unwrap().path.clone();
        let mut trees = [(path, tree)];
        let mut watch = NarWatch::new(&closure, &mut trees, false);
        let draft = watch.draft(&closure);
        let unshown = every_other_file(&trees[0].1);
        watch.read_by_itself(unshown.clone(), &Arc::default());
        show(&trees[0].1, &watch, step, &unshown);
        let valid = watch.finish(&closure).unwrap();
        let (hash, size) = nar::nar_hash(&top).unwrap();
        prop_assert_eq!((valid[0].nar_hash, valid[0].nar_size), (hash, size));
        prop_assert_eq!(draft[0].nar_size, size);
    }
}

#[test]
fn what_is_not_shown_is_zero() {
    let temporary = tempfile::tempdir().unwrap();
    let top = temporary.path().join("top");
    let mut bytes = vec![0; 300_000];
    bytes[200_000] = 7;
    std::fs::write(&top, &bytes).unwrap();
    let tree = scan(&top, Timestamp::from_seconds(1)).unwrap();
    let closure = closure_of(&tree);
    let path = closure.paths().next().unwrap().path.clone();
    let mut trees = [(path, tree)];
    let watch = NarWatch::new(&closure, &mut trees, false);
    let mark = Mark::new(0, 0);
    watch.see(mark, 200_000, &[7]);
    let valid = watch.finish(&closure).unwrap();
    assert_eq!(valid[0].nar_hash, nar::nar_hash(&top).unwrap().0);
}

/// A watch over the file `bytes`, and the tree.
fn watched(bytes: &[u8]) -> (Closure, Tree, NarWatch) {
    let metadata = crate::tree::Metadata::of_root(0o444, Timestamp::from_seconds(1));
    let tree = Tree::new(crate::tree::Node::file(metadata, Source::bytes(bytes)));
    let closure = closure_of(&tree);
    let path = closure.paths().next().unwrap().path.clone();
    let mut trees = [(path, tree)];
    let watch = NarWatch::new(&closure, &mut trees, false);
    let [(_, tree)] = trees;
    (closure, tree, watch)
}

/// The content of a tree that is a file, as if it lay at `origin`.
fn moved(tree: &Tree, origin: Origin) -> Source {
    let Kind::File(source) = &tree.node(Tree::ROOT).kind else {
        unreachable!("it is a file")
    };
    Source {
        origin,
        ..source.clone()
    }
}

#[test]
fn what_is_not_copied_is_read_and_an_error_of_that_is_told() {
    let host_file = HostFile {
        directory: HostDirectory::new(Path::new("/no/where")).into(),
        name: Name::new("file").unwrap(),
    };
    let (closure, tree, mut watch) = watched(b"content");
    let missing = moved(&tree, Origin::HostFile(host_file));
    watch.read_by_itself([missing], &Arc::default());
    let error = watch.finish(&closure).unwrap_err();
    assert!(
        matches!(&error, WatchError::Read(error) if error.to_string().contains("/no/where/file")),
        "{error}"
    );
}

#[test]
fn a_request_to_stop_ends_reading() {
    let (closure, tree, mut watch) = watched(b"content");
    let Kind::File(source) = &tree.node(Tree::ROOT).kind else {
        unreachable!("it is a file")
    };
    let stop = Arc::new(AtomicBool::new(true));
    watch.read_by_itself([source.clone()], &stop);
    let error = watch.finish(&closure).unwrap_err();
    assert!(matches!(error, WatchError::Interrupted), "{error}");
}

#[test]
fn a_path_whose_hash_is_known_is_watched_only_to_verify() {
    let metadata = crate::tree::Metadata::of_root(0o444, Timestamp::from_seconds(1));
    let tree = Tree::new(crate::tree::Node::file(metadata, Source::bytes(*b"x")));
    let mut input = Input {
        name: "graph".into(),
        members: Vec::new(),
    };
    let name = format!("{}-a", "0".repeat(StorePath::HASH_LENGTH));
    let path = StorePath::from_base_name(&name).unwrap();
    input.members.push(Member {
        path: path.clone(),
        nar: Some(NarDigest {
            hash: NarHash([5; 32]),
            size: 5,
        }),
        references: Vec::new(),
        ca: None,
        offset: None,
        content: Content::Live,
    });
    let closure = Closure::new([input]).unwrap();
    let mut trees = [(path, tree)];
    let unwatched = NarWatch::new(&closure, &mut trees, false);
    assert_eq!(unwatched.finish(&closure).unwrap()[0].nar_size, 5);
    let watch = NarWatch::new(&closure, &mut trees, true);
    show(&trees[0].1, &watch, 1, &[]);
    let WatchError::Mismatch(error) = watch.finish(&closure).unwrap_err() else {
        panic!("it was read")
    };
    assert_eq!(error.expected.0.size, 5);
    assert_eq!(error.found.1, "the store of this host");
}
