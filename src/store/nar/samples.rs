//! What the tests make NARs of, and Nix' word on them.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::{Writer, dump};
use crate::source::{Container, Source};
use crate::tree::{Kind, Metadata, Name, NodeId, Tree};

pub(crate) fn dumped(path: &Path) -> Vec<u8> {
    let mut nar = Vec::new();
    dump(path, &mut nar).unwrap();
    nar
}

pub(crate) fn output_of(command: &str, arguments: &[&str], path: &Path) -> Vec<u8> {
    let output = Command::new(command)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// A directory of everything that a NAR can hold.
pub(crate) fn sample() -> tempfile::TempDir {
    let temporary = tempfile::tempdir().unwrap();
    let top = temporary.path();
    fs::create_dir_all(top.join("b/empty")).unwrap();
    fs::write(top.join("a"), "").unwrap();
    fs::write(top.join("B"), "12345678").unwrap();
    fs::write(top.join(OsStr::from_bytes(b"\xff \n\"")), "123").unwrap();
    fs::write(top.join("b/run"), vec![0; 200_000]).unwrap();
    fs::set_permissions(top.join("b/run"), Permissions::from_mode(0o755)).unwrap();
    symlink("../a", top.join("b/link")).unwrap();
    temporary
}

#[derive(Clone, Debug)]
pub(crate) enum Sample {
    File(bool, Vec<u8>),
    Symlink(String),
    Directory(std::collections::BTreeMap<String, Sample>),
}

pub(crate) fn samples() -> impl Strategy<Value = Sample> {
    let name = "[ -.0-~é]{1,9}".prop_filter("a name", |name| Name::new(name).is_ok());
    let leaf = prop_oneof![
        (any::<bool>(), vec(any::<u8>(), 0..30)).prop_map(|(x, content)| Sample::File(x, content)),
        "[ -~]{1,20}".prop_map(Sample::Symlink),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        btree_map(name.clone(), inner, 0..5).prop_map(Sample::Directory)
    })
}

pub(crate) fn make(sample: &Sample, path: &Path) {
    match sample {
        Sample::File(executable, content) => {
            fs::write(path, content).unwrap();
            let mode = if *executable { 0o755 } else { 0o644 };
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        Sample::Symlink(target) => symlink(target, path).unwrap(),
        Sample::Directory(entries) => {
            fs::create_dir(path).unwrap();
            for (name, entry) in entries {
                make(entry, &path.join(name));
            }
        }
    }
}

/// A container that holds `bytes`.
pub(crate) fn container(bytes: &[u8]) -> Arc<Container> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(Container::spooled("/the/stream", file))
}

/// Strings as Nix encodes them.
pub(crate) fn strings(strings: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for string in strings {
        bytes.extend((string.len() as u64).to_le_bytes());
        bytes.extend(*string);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

/// All that a tree says, a line for each node: path, mode, time and content.
pub(crate) fn lines(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![(String::from("."), Tree::ROOT)];
    while let Some((path, id)) = todo.pop() {
        let node = tree.node(id);
        let mtime = node.metadata.mtime;
        assert_eq!(node.metadata, Metadata::of_root(node.metadata.mode, mtime));
        let content = match &node.kind {
            Kind::Directory(_) => String::from("directory"),
            Kind::Symlink(target) => format!("-> {}", target.escape_ascii()),
            Kind::File(source) => format!("{}", read(source).escape_ascii()),
            other => panic!("{other:?}"),
        };
        let mode = node.metadata.mode;
        lines.push(format!("{path} {mode:o} {} {content}", mtime.seconds));
        for (name, id) in tree.entries(id) {
            todo.push((format!("{path}/{}", name.as_bytes().escape_ascii()), id));
        }
    }
    lines.sort();
    lines
}

/// The NAR of a tree, whatever holds the bytes of its files.
pub(crate) fn encoded(tree: &Tree) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    encode_node(&mut writer, tree, Tree::ROOT);
    writer.finish()
}

fn encode_node(writer: &mut Writer<Vec<u8>>, tree: &Tree, id: NodeId) {
    let node = tree.node(id);
    match &node.kind {
        Kind::Directory(_) => {
            writer.begin_directory().unwrap();
            for (name, id) in tree.entries(id) {
                writer.entry(name.as_bytes()).unwrap();
                encode_node(writer, tree, id);
            }
            writer.end_directory().unwrap();
        }
        Kind::Symlink(target) => writer.symlink(target).unwrap(),
        Kind::File(source) => {
            let executable = node.metadata.mode == 0o555;
            let content = read(source);
            writer
                .file(executable, source.length, &content[..])
                .unwrap();
        }
        other => panic!("{other:?}"),
    }
}

fn read(source: &Source) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(source.length).unwrap()];
    source.read_at(0, &mut bytes).unwrap();
    bytes
}
