//! The same tree is the same bytes: at any number of threads, in any order of
//! insertion, and from one release to the next.

use std::collections::BTreeMap;

use nix2image::ext4::Options;
use nix2image::tree::{Kind, Node, NodeId, Tree};

use crate::support::image::Image;
use crate::support::sample::{
    directory, empty, everything, file, name, noise, put, roomy, symlink, tight, tree_of,
};

/// The digest of an image that `threads` threads made.
fn digest(tree: Tree, options: &Options, threads: usize) -> String {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| Image::unchecked(tree, options).digest())
}

/// A large file beside everything else.
fn sample() -> Tree {
    let mut tree = everything();
    put(&mut tree, Tree::ROOT, "large", file(noise(50_000_000, 3)));
    tree
}

#[test]
fn any_number_of_threads_makes_the_same_bytes() {
    let digests = [1, 2, 7].map(|threads| digest(sample(), &roomy(), threads));
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

#[test]
fn any_order_of_insertion_makes_the_same_bytes() {
    let expected = digest(sample(), &roomy(), 2);
    for seed in 1..4 {
        let shuffled = shuffled(&sample(), seed);
        assert_eq!(digest(shuffled, &roomy(), 2), expected, "seed {seed}");
    }
}

/// The same tree, whose nodes came in another order. Of the names of a hard link,
/// another may have come first.
fn shuffled(tree: &Tree, seed: u64) -> Tree {
    let mut names: Vec<(Vec<nix2image::tree::Name>, NodeId)> = Vec::new();
    let mut open = vec![(Vec::new(), Tree::ROOT)];
    while let Some((path, id)) = open.pop() {
        for (name, child) in tree.entries(id) {
            let path = [&path[..], std::slice::from_ref(name)].concat();
            names.push((path.clone(), child));
            open.push((path, child));
        }
    }
    // Parents come first, whatever the order otherwise.
    names.sort_by_cached_key(|(path, _)| {
        let bytes: Vec<u8> = path
            .iter()
            .flat_map(|name| name.as_bytes().to_vec())
            .collect();
        let key = crc32c::crc32c(&[&seed.to_le_bytes()[..], &bytes].concat());
        (path.len(), key)
    });
    let copy = |id| {
        let Node { metadata, kind } = tree.node(id).clone();
        match kind {
            Kind::Directory(_) => Node::directory(metadata),
            kind => Node { metadata, kind },
        }
    };
    let mut new = Tree::new(copy(Tree::ROOT));
    let mut ids = BTreeMap::from([(Tree::ROOT, Tree::ROOT)]);
    for (path, id) in names {
        let (last, parents) = path.split_last().expect("the root is not among them");
        let parent = parents.iter().fold(Tree::ROOT, |at, name| {
            new.lookup(at, name).expect("parents came first")
        });
        if let Some(known) = ids.get(&id) {
            new.link(parent, last.clone(), *known).unwrap();
        } else {
            let inserted = new.insert(parent, last.clone(), copy(id)).unwrap();
            ids.insert(id, inserted);
        }
    }
    assert_eq!(new.len(), tree.len());
    new
}

/// The name of an image, how it is made, and its digest.
type Pinned = (&'static str, fn() -> (Tree, Options), &'static str);

/// What each image was when its bytes last changed. A commit that changes one says
/// why the bytes of all images change.
const PINNED: [Pinned; 3] = [
    (
        "nothing, tight",
        || (empty(), tight()),
        "3db4c91c53b57d01c060b2f90eb8671681a9ad8d16e68217b5619d4c84a5e2e3",
    ),
    (
        "a few files, roomy",
        || (few_files(), roomy()),
        "ac61be1793297835ef6bbc844cfc3d387be997dbd45fa1843c303977d9dfdc1f",
    ),
    (
        "everything, roomy",
        || (everything(), roomy()),
        "e3246bf76f4facf43d04dea84a356d083cf9242cfec19cbeed7fc2a7e3b7f877",
    ),
];

fn few_files() -> Tree {
    let mut tree = tree_of([
        ("file", file("content\n")),
        ("link", symlink("file")),
        ("two blocks", file(noise(5000, 1))),
    ]);
    let inner = put(&mut tree, Tree::ROOT, "directory", directory());
    let linked = put(&mut tree, inner, "one", file("linked"));
    tree.link(inner, name("two"), linked).unwrap();
    tree
}

#[test]
fn images_have_the_bytes_that_they_had() {
    let found = PINNED.map(|(called, make, _)| {
        let (tree, options) = make();
        (called, digest(tree, &options, 2))
    });
    let pinned = PINNED.map(|(called, _, digest)| (called, digest.to_owned()));
    assert_eq!(found, pinned, "if that is meant, pin what is on the left");
}
