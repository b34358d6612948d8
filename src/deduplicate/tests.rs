use std::path::Path;

use super::*;
use crate::source::{HostDirectory, HostFile, Origin};
use crate::tree::{Metadata, Name, Node, Timestamp};

const NO_LIMIT: u32 = u32::MAX;

fn directory() -> Node {
    Node::directory(Metadata::of_root(0o555, Timestamp::from_seconds(1)))
}

fn file(mode: u16, source: Source) -> Node {
    Node::file(Metadata::of_root(mode, Timestamp::from_seconds(1)), source)
}

/// A source whose reading is an error that names it.
fn unreadable(length: u64, name: &str) -> Source {
    let host_file = HostFile {
        directory: HostDirectory::new(Path::new("/no/where")).into(),
        name: Name::new(name).unwrap(),
    };
    Source::new(length, Origin::HostFile(host_file))
}

fn put(tree: &mut Tree, parent: NodeId, name: &str, node: Node) -> NodeId {
    tree.insert(parent, Name::new(name).unwrap(), node).unwrap()
}

/// A directory with files, `name` and content, of mode 0444.
fn files_of(files: &[(&str, &[u8])]) -> Tree {
    let mut tree = Tree::new(directory());
    for (name, content) in files {
        put(
            &mut tree,
            Tree::ROOT,
            name,
            file(0o444, Source::bytes(*content)),
        );
    }
    tree
}

/// The files at the top of `tree`, each with the first name of what it is.
fn same(tree: &Tree) -> String {
    let mut names: Vec<(NodeId, String)> = Vec::new();
    let mut same = Vec::new();
    for (name, id) in tree.entries(Tree::ROOT) {
        let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
        if let Some((_, first)) = names.iter().find(|(of, _)| *of == id) {
            same.push(format!("{name}={first}"));
        } else {
            same.push(name.clone());
            names.push((id, name));
        }
    }
    same.join(" ")
}

fn deduplicated(mut tree: Tree, most_names: u32) -> Tree {
    let going_on = AtomicBool::new(false);
    deduplicate(&mut tree, &[Tree::ROOT], most_names, &going_on).unwrap();
    tree
}

#[test]
fn the_first_of_equal_files_is_kept() {
    let tree = files_of(&[
        ("a", b"one"),
        ("b", b"two"),
        ("c", b"two"),
        ("d", b"one"),
        ("e", b"other"),
        ("f", b"two"),
    ]);
    let tree = deduplicated(tree, NO_LIMIT);
    assert_eq!(same(&tree), "a b c=b d=a e f=b");
    assert_eq!(tree.len(), 1 + 3);
}

#[test]
fn first_is_the_order_of_the_tops_and_in_each_depth_first() {
    let mut tree = Tree::new(directory());
    let x = put(&mut tree, Tree::ROOT, "x", directory());
    let y = put(&mut tree, Tree::ROOT, "y", directory());
    // What stands after the directory was put first, and what is in it lies deeper.
    put(&mut tree, x, "b", file(0o444, Source::bytes(*b"equal")));
    put(&mut tree, y, "z", file(0o444, Source::bytes(*b"equal")));
    let a = put(&mut tree, x, "a", directory());
    let first = put(&mut tree, a, "deep", file(0o444, Source::bytes(*b"equal")));
    let marks: Vec<_> = files(&tree, &[x, y]).iter().map(|file| file.node).collect();
    assert_eq!(marks[0], first);
    let equal = equal_files(&tree, &[x, y], &AtomicBool::new(false)).unwrap();
    assert_eq!(equal, [[first, marks[1], marks[2]]]);
}

#[test]
fn what_is_not_below_the_tops_stays_as_it_is() {
    let mut tree = files_of(&[("outside", b"equal")]);
    let store = put(&mut tree, Tree::ROOT, "store", directory());
    for name in ["a", "b"] {
        put(
            &mut tree,
            store,
            name,
            file(0o444, Source::bytes(*b"equal")),
        );
    }
    let going_on = AtomicBool::new(false);
    let removed = deduplicate(&mut tree, &[store], NO_LIMIT, &going_on).unwrap();
    assert_eq!(removed.len(), 1);
    assert_eq!(tree.len(), 4);
    let name = |name| Name::new(name).unwrap();
    let outside = tree.lookup(Tree::ROOT, &name("outside"));
    let store = tree.lookup(Tree::ROOT, &name("store")).unwrap();
    let inside = tree.lookup(store, &name("a"));
    assert_eq!(inside, tree.lookup(store, &name("b")));
    assert_ne!(inside, outside);
}

#[test]
fn an_executable_file_is_another_than_one_that_is_not() {
    let mut tree = files_of(&[("a", b"equal"), ("c", b"equal")]);
    for name in ["b", "d"] {
        put(
            &mut tree,
            Tree::ROOT,
            name,
            file(0o555, Source::bytes(*b"equal")),
        );
    }
    assert_eq!(same(&deduplicated(tree, NO_LIMIT)), "a b c=a d=b");
}

#[test]
fn files_that_differ_in_any_metadata_stay() {
    let mut tree = files_of(&[("a", b"equal")]);
    let metadata = Metadata::of_root(0o444, Timestamp::from_seconds(2));
    let other = Node::file(metadata, Source::bytes(*b"equal"));
    put(&mut tree, Tree::ROOT, "b", other);
    assert_eq!(same(&deduplicated(tree, NO_LIMIT)), "a b");
}

#[test]
fn empty_files_and_symlinks_stay() {
    let mut tree = files_of(&[("a", b""), ("b", b"")]);
    let metadata = Metadata::of_root(0o777, Timestamp::from_seconds(1));
    for name in ["c", "d"] {
        let symlink = Node::symlink(metadata.clone(), *b"target");
        put(&mut tree, Tree::ROOT, name, symlink);
    }
    assert_eq!(same(&deduplicated(tree, NO_LIMIT)), "a b c d");
}

#[test]
fn past_the_limit_the_next_equal_file_is_kept() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let files = names.map(|name| (name, &b"equal"[..]));
    let tree = deduplicated(files_of(&files), 3);
    assert_eq!(same(&tree), "a b=a c=a d e=d f=d g");
}

#[test]
fn only_files_that_share_length_and_mode_are_read() {
    let mut tree = files_of(&[("a", b"equal"), ("b", b"equal")]);
    put(
        &mut tree,
        Tree::ROOT,
        "longer",
        file(0o444, unreadable(6, "longer")),
    );
    put(
        &mut tree,
        Tree::ROOT,
        "run",
        file(0o555, unreadable(5, "run")),
    );
    assert_eq!(same(&deduplicated(tree, NO_LIMIT)), "a b=a longer run");
}

#[test]
fn of_several_errors_the_first_in_order_is_told() {
    for threads in [1, 2, 7] {
        let mut tree = Tree::new(directory());
        // The largest are read first.
        for (name, length) in [("a", 5), ("b", 5), ("c", 9), ("d", 9), ("e", 7), ("f", 7)] {
            let source = unreadable(length, name);
            put(&mut tree, Tree::ROOT, name, file(0o444, source));
        }
        let going_on = AtomicBool::new(false);
        let deduplicate = || deduplicate(&mut tree, &[Tree::ROOT], NO_LIMIT, &going_on);
        let error = with_threads(threads, deduplicate).unwrap_err();
        assert!(error.to_string().ends_with("/no/where/a"), "{error}");
    }
}

#[test]
fn a_request_to_stop_changes_nothing() {
    let mut tree = files_of(&[("a", b"equal"), ("b", b"equal")]);
    let stop = AtomicBool::new(true);
    let removed = deduplicate(&mut tree, &[Tree::ROOT], NO_LIMIT, &stop).unwrap();
    assert!(removed.is_empty());
    assert_eq!(same(&tree), "a b");
}

fn with_threads<T: Send>(threads: usize, what: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(what)
}

#[test]
fn any_number_of_threads_keeps_the_same_files() {
    let contents: Vec<(String, Vec<u8>)> = (0..2000_u32)
        .map(|file| {
            let kind = file.wrapping_mul(2_654_435_761) >> 22;
            let length = 1 + (kind as usize % 7) * usize::try_from(CHUNK).unwrap() / 5;
            (format!("{file:05}"), vec![kind.to_le_bytes()[0]; length])
        })
        .collect();
    let named: Vec<_> = contents
        .iter()
        .map(|(name, content)| (name.as_str(), &content[..]))
        .collect();
    let found = [1, 2, 7].map(|threads| {
        let tree = files_of(&named);
        same(&with_threads(threads, || deduplicated(tree, 5)))
    });
    assert!(found[0].contains('='));
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
}

#[test]
fn a_large_file_is_equal_only_if_every_part_of_it_is() {
    let large = vec![7; 3 * usize::try_from(CHUNK).unwrap() + 5];
    let mut other = large.clone();
    *other.last_mut().unwrap() = 8;
    let tree = files_of(&[("a", &large), ("b", &other), ("c", &large)]);
    assert_eq!(same(&deduplicated(tree, NO_LIMIT)), "a b c=a");
}

#[test]
fn a_file_with_two_names_is_not_equal_to_itself() {
    let mut tree = files_of(&[("a", b"equal")]);
    let a = tree.lookup(Tree::ROOT, &Name::new("a").unwrap()).unwrap();
    tree.link(Tree::ROOT, Name::new("b").unwrap(), a).unwrap();
    let going_on = AtomicBool::new(false);
    let equal = equal_files(&tree, &[Tree::ROOT], &going_on).unwrap();
    assert!(equal.is_empty(), "{equal:?}");
}
