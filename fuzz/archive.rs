//! What holds for any bytes that are given as a tar archive of contents.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use nix2image::image::{self, Pieces};
use nix2image::job::Job;
use nix2image::root::unpack;
use nix2image::source::Source;
use nix2image::tree::{Kind, NodeId, Tree};
use nix2image::{ext4, tar};
use tempfile::NamedTempFile;

use super::{TIME, offset_of, tells};

/// An archive is refused, or its files lie in it, and an archive that is made of it holds the
/// same. What is in it is laid out in a filesystem, or refused.
pub fn archive(bytes: &[u8]) {
    // The contents lie in the file, which is opened again for each.
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let unpacked = match unpack(file.path(), TIME) {
        Ok(unpacked) => unpacked,
        Err(error) => return tells(&error),
    };
    let length = bytes.len() as u64;
    for_each_file(&unpacked.tree, |source| {
        assert!(offset_of(source).checked_add(source.length).unwrap() <= length);
    });
    let tree = &unpacked.tree;
    assert!(
        unpacked
            .implied
            .iter()
            .all(|id| tree.node(*id).is_directory())
    );
    if let Err(error) = ext4::lay_out(tree.clone(), &super::images::options()) {
        tells(&error);
    }
    match tar::lay_out(tree.clone()) {
        Ok(pieces) => {
            let file = NamedTempFile::new().unwrap();
            write(&pieces, file.path());
            let again = unpack(file.path(), TIME).unwrap();
            assert!(again.implied.is_empty());
            same(tree, &again.tree);
        }
        Err(error) => tells(&error),
    }
}

fn write(pieces: &Pieces, path: &Path) {
    let to = File::options().write(true).open(path).unwrap();
    image::write(pieces, &to, &Job::default()).unwrap();
}

fn for_each_file(tree: &Tree, mut with: impl FnMut(&Source)) {
    let mut todo = vec![Tree::ROOT];
    while let Some(id) = todo.pop() {
        todo.extend(tree.entries(id).map(|(_, id)| id));
        if let Kind::File(source) = &tree.node(id).kind {
            with(source);
        }
    }
}

/// Checks that two trees are one, but for where their contents are.
fn same(one: &Tree, other: &Tree) {
    let mut pairs: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let mut todo = vec![(Tree::ROOT, Tree::ROOT)];
    while let Some((id, twin)) = todo.pop() {
        // Names of one file are names of one file.
        assert_eq!(*pairs.entry(id).or_insert(twin), twin);
        let [node, its_twin] = [one.node(id), other.node(twin)];
        assert_eq!(node.metadata, its_twin.metadata);
        match (&node.kind, &its_twin.kind) {
            (Kind::Directory(entries), Kind::Directory(twins)) => {
                assert!(entries.keys().eq(twins.keys()));
                todo.extend(entries.values().copied().zip(twins.values().copied()));
            }
            (Kind::File(source), Kind::File(twin)) => assert!(content(source) == content(twin)),
            (Kind::Symlink(target), Kind::Symlink(twin)) => assert_eq!(target, twin),
            (Kind::CharacterDevice(number), Kind::CharacterDevice(twin))
            | (Kind::BlockDevice(number), Kind::BlockDevice(twin)) => assert_eq!(number, twin),
            (Kind::Fifo, Kind::Fifo) => {}
            (kind, twin) => panic!("{} has become {}", kind.name(), twin.name()),
        }
    }
}

/// The bytes of a file, which are in the archive.
fn content(source: &Source) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(source.length).unwrap()];
    source.read_at(0, &mut bytes).unwrap();
    bytes
}
