//! What holds for any bytes that are given as attributes, text graph, NAR, export, narinfo, or
//! what the modules below are named after: they are refused with a message, or what is read is
//! in them and no more.
//!
//! The fuzz targets use it, and `tests/it/fuzz_corpus.rs`, which has it as a module. A
//! function panics where its property does not hold.

#![allow(clippy::unwrap_used, reason = "a panic is a finding")]

pub mod archive;
pub mod boot;
pub mod images;
pub mod records;

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Component, Path};
use std::sync::Arc;

use nix2image::attrs::Attrs;
use nix2image::disk::{self, DiskError, Place};
use nix2image::error::Chain;
use nix2image::ext4;
use nix2image::image::Pieces;
use nix2image::source::{Container, Origin, Source};
use nix2image::spec::{self, Spec};
use nix2image::store::cache::{Compression, Narinfo, parse_narinfo};
use nix2image::store::nar::{Writer, read_tree};
use nix2image::store::{Content, Member, StorePath, parse_text_graph, read_export};
use nix2image::tree::{Kind, Metadata, Node, NodeId, Timestamp, Tree};

/// The time of what is read, and "now".
const TIME: Timestamp = Timestamp::from_seconds(1);

/// A `.attrs.json` is refused, or what it asks for can be taken as it is: its paths are
/// absolute, and an empty root is laid out in such a filesystem or refused.
pub fn attributes(bytes: &[u8]) {
    let attrs = match Attrs::parse(bytes, Path::new("/build/.attrs.json")) {
        Ok(attrs) => attrs,
        Err(error) => return tells(&error),
    };
    let spec = match Spec::new(attrs, TIME) {
        Ok(spec) => spec,
        Err(error) => return tells(&error),
    };
    assert!(spec.output.path.is_absolute());
    if let Some(directory) = &spec.output.directory {
        let names = directory.files.iter().map(|file| &file.name);
        for name in names.chain([&directory.image]) {
            assert!(stays_below(Path::new(name)));
        }
    }
    assert!(spec.contents.iter().all(|item| item.source.is_absolute()));
    // Descriptors of a larger one are many, and are in memory.
    let bytes_wanted = spec
        .ext4
        .size
        .unwrap_or(0)
        .saturating_add(spec.ext4.free_bytes);
    if bytes_wanted < LAID_OUT_BYTES && spec.ext4.free_inodes < LAID_OUT_INODES {
        let root = Tree::new(Node::directory(Metadata::of_root(0o755, TIME)));
        match ext4::lay_out(root, &spec.ext4) {
            Ok(pieces) => assert!(pieces.size() > 0),
            Err(error) => tells(&error),
        }
    }
    if let spec::Kind::Disk(disk) = &spec.kind {
        // Empty volumes: files of the host are not for a fuzzer.
        let volume = |_, place: Place| {
            let size = place.size.unwrap_or(Source::GRAIN);
            Ok::<_, DiskError>(Some(Pieces::new(size, Vec::new())))
        };
        match disk::lay_out(&disk.disk, volume) {
            Ok(pieces) => assert!(disk.disk.size.is_none_or(|size| pieces.size() == size)),
            Err(error) => tells(&error),
        }
    }
}

/// A filesystem of that many bytes or inodes is not laid out: it takes too long for many.
const LAID_OUT_BYTES: u64 = 1 << 34;
const LAID_OUT_INODES: u32 = 1 << 20;

/// A text graph is refused with a place in it, or is the same graph when it is printed.
pub fn text_graph(bytes: &[u8]) {
    let members = match parse_text_graph(bytes) {
        Ok(members) => members,
        Err(error) => {
            tells(&error);
            return is_a_place(bytes, error.offset, error.line);
        }
    };
    for member in &members {
        assert!(matches!(member.content, Content::Live));
        assert!(member.nar.is_none() && member.ca.is_none());
    }
    let again = parse_text_graph(as_text_graph(&members).as_bytes()).unwrap();
    assert_eq!(said_of(&again), said_of(&members));
}

/// A NAR is refused, or its files lie in it, one after the other, and our writer makes the
/// same bytes of it. Of a file that has no contents it writes that they are empty.
pub fn nar(bytes: &[u8]) {
    let container = spooled(bytes);
    let read = read_tree(&container, 0..bytes.len() as u64, TIME);
    let (tree, end) = match read {
        Ok(read) => read,
        Err(error) => return tells(&error),
    };
    let read = &bytes[..usize::try_from(end).unwrap()];
    files_lie_in(&tree, 0..end);
    let encoded = encode(&tree, bytes);
    let without = without_contents(&tree, bytes);
    if without == 0 {
        assert!(encoded == read, "the writer makes another NAR of it");
    } else {
        assert_eq!(encoded.len(), read.len() + without * EMPTY_CONTENTS.len());
        // Now it has no such file, and must stay as it is.
        nar(&encoded);
    }
}

/// An export is refused, or its files lie in it, one after the other, and an export of the
/// same paths says the same.
pub fn export(bytes: &[u8]) {
    let members = match read_export(&spooled(bytes), TIME) {
        Ok(members) => members,
        Err(error) => return tells(&error),
    };
    let mut start = 0;
    for member in &members {
        start = files_lie_in(tree_of(member), start..bytes.len() as u64);
    }
    let encoded = as_export(&members, bytes);
    let again = read_export(&spooled(&encoded), TIME).unwrap();
    assert_eq!(said_of(&again), said_of(&members));
    for (again, member) in again.iter().zip(&members) {
        assert!(encode(tree_of(again), &encoded) == encode(tree_of(member), bytes));
    }
}

/// A narinfo is refused with a place in it, or names a file below the cache, and is the
/// same when it is printed.
pub fn narinfo(bytes: &[u8]) {
    let narinfo = match parse_narinfo(bytes) {
        Ok(narinfo) => narinfo,
        Err(error) => {
            tells(&error);
            return is_a_place(bytes, error.offset, error.line);
        }
    };
    assert!(stays_below(Path::new(&narinfo.url)));
    assert!(is_a_set(&narinfo.references));
    assert_eq!(parse_narinfo(as_text(&narinfo).as_bytes()), Ok(narinfo));
}

/// An error is one line.
fn tells(error: &dyn Error) {
    let message = Chain(error).to_string();
    assert!(!message.is_empty());
    assert!(!message.contains(char::is_control), "{message:?}");
}

fn is_a_place(bytes: &[u8], offset: usize, line: usize) {
    let before = bytes.get(..offset).unwrap();
    assert_eq!(line, before.split(|byte| *byte == b'\n').count());
}

fn stays_below(path: &Path) -> bool {
    path.components()
        .all(|component| matches!(component, Component::Normal(_)))
}

fn is_a_set(paths: &[StorePath]) -> bool {
    paths.is_sorted_by(|a, b| a < b)
}

/// What an input says of its paths, but for their content.
fn said_of(members: &[Member]) -> Vec<(&StorePath, &[StorePath])> {
    members
        .iter()
        .map(|member| {
            assert!(is_a_set(&member.references));
            (&member.path, member.references.as_slice())
        })
        .collect()
}

fn as_text_graph(members: &[Member]) -> String {
    let mut text = String::new();
    for member in members {
        writeln!(text, "{}\n\n{}", member.path, member.references.len()).unwrap();
        for reference in &member.references {
            writeln!(text, "{reference}").unwrap();
        }
    }
    text
}

fn as_text(narinfo: &Narinfo) -> String {
    let compression = match narinfo.compression {
        Compression::None => "none",
        Compression::Zstd => "zstd",
        Compression::Xz => "xz",
    };
    let references: Vec<_> = narinfo
        .references
        .iter()
        .map(StorePath::base_name)
        .collect();
    let mut text = format!(
        "StorePath: {}\nURL: {}\nCompression: {compression}\nNarHash: {}\nNarSize: {}\nReferences: {}\n",
        narinfo.path,
        narinfo.url,
        narinfo.nar.hash,
        narinfo.nar.size,
        references.join(" ")
    );
    for (key, value) in [
        ("FileHash", narinfo.file_hash.map(|hash| hash.to_string())),
        ("FileSize", narinfo.file_size.map(|size| size.to_string())),
        ("CA", narinfo.ca.clone()),
    ] {
        if let Some(value) = value {
            writeln!(text, "{key}: {value}").unwrap();
        }
    }
    text
}

/// The members as an export, of which `bytes` were read.
fn as_export(members: &[Member], bytes: &[u8]) -> Vec<u8> {
    let mut export = Vec::new();
    let integer = |export: &mut Vec<u8>, number: u64| export.extend(number.to_le_bytes());
    let string = |export: &mut Vec<u8>, string: &str| {
        integer(export, string.len() as u64);
        export.extend(string.as_bytes());
        export.resize(export.len().next_multiple_of(8), 0);
    };
    for member in members {
        integer(&mut export, 1);
        export.extend(encode(tree_of(member), bytes));
        integer(&mut export, 0x4558_494e);
        string(&mut export, &member.path.to_string());
        integer(&mut export, member.references.len() as u64);
        for reference in &member.references {
            string(&mut export, &reference.to_string());
        }
        string(&mut export, "");
        integer(&mut export, 0);
    }
    integer(&mut export, 0);
    export
}

fn tree_of(member: &Member) -> &Tree {
    match &member.content {
        Content::Stream(tree) => tree,
        Content::Live => panic!("{} is not in the stream", member.path),
    }
}

/// The bytes as a file without a name.
fn spooled(bytes: &[u8]) -> Arc<Container> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(Container::spooled("/build/input", file))
}

/// Checks that the files of a tree lie in `range`, in its order and apart, and gives the
/// byte after the last.
fn files_lie_in(tree: &Tree, range: std::ops::Range<u64>) -> u64 {
    let mut start = range.start;
    visit(tree, &mut |event| {
        if let Event::File(_, source) = event {
            let offset = offset_of(source);
            assert!(start <= offset, "{start} {offset}");
            start = offset.checked_add(source.length).unwrap();
        }
    });
    assert!(start <= range.end, "{start} {range:?}");
    start
}

fn offset_of(source: &Source) -> u64 {
    match &source.origin {
        Origin::Range { offset, .. } => *offset,
        other => panic!("a file of a stream lies in it: {other:?}"),
    }
}

/// The tree as a NAR, with contents out of `bytes`.
fn encode(tree: &Tree, bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    visit(tree, &mut |event| {
        match event {
            Event::BeginDirectory => writer.begin_directory(),
            Event::Entry(name) => writer.entry(name),
            Event::EndDirectory => writer.end_directory(),
            Event::Symlink(target) => writer.symlink(target),
            Event::File(executable, source) => {
                let start = usize::try_from(offset_of(source)).unwrap();
                let length = usize::try_from(source.length).unwrap();
                writer
                    .begin_file(executable, source.length)
                    .and_then(|()| writer.content(&bytes[start..][..length]))
                    .and_then(|()| writer.end_file())
            }
        }
        .unwrap();
    });
    writer.finish()
}

/// What stands before the content of an empty file that has one.
const EMPTY_CONTENTS: &[u8] = b"\x08\0\0\0\0\0\0\0contents\0\0\0\0\0\0\0\0";

/// How many files have no contents, which old Nix took for empty ones.
fn without_contents(tree: &Tree, bytes: &[u8]) -> usize {
    let mut count = 0;
    visit(tree, &mut |event| {
        if let Event::File(_, source) = event
            && source.length == 0
        {
            let before = &bytes[..usize::try_from(offset_of(source)).unwrap()];
            count += usize::from(!before.ends_with(EMPTY_CONTENTS));
        }
    });
    count
}

/// A part of a NAR.
enum Event<'a> {
    BeginDirectory,
    Entry(&'a [u8]),
    File(bool, &'a Source),
    Symlink(&'a [u8]),
    EndDirectory,
}

/// Shows all of a tree in the order of its NAR. Deep ones are refused before.
fn visit<'a>(tree: &'a Tree, see: &mut impl FnMut(Event<'a>)) {
    visit_node(tree, Tree::ROOT, see);
}

fn visit_node<'a>(tree: &'a Tree, id: NodeId, see: &mut impl FnMut(Event<'a>)) {
    let node = tree.node(id);
    match &node.kind {
        Kind::Directory(entries) => {
            see(Event::BeginDirectory);
            for (name, id) in entries {
                see(Event::Entry(name.as_bytes()));
                visit_node(tree, *id, see);
            }
            see(Event::EndDirectory);
        }
        Kind::File(source) => see(Event::File(node.metadata.mode == 0o555, source)),
        Kind::Symlink(target) => see(Event::Symlink(target)),
        other => panic!("no NAR holds {}", other.name()),
    }
}
