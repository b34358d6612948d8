//! What is to be seen of each file of a filesystem, whoever looks: all that is
//! expected of an image, and all that a reader found in it, as values to compare.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use nix2image::source::{Origin, Source};
use nix2image::tree::{Kind, NodeId, Timestamp, Tree, Xattrs};

use super::sample::TIME;

/// By absolute path, without the root's `/`: the root's own is empty.
pub(crate) type Facts = BTreeMap<Vec<u8>, Fact>;

/// What is to be seen of a file. `None`: the reader does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub what: What,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Timestamp,
    pub links: Option<u64>,
    /// The first of its names.
    pub first_name: Option<Vec<u8>>,
    pub xattrs: Option<Xattrs>,
}

/// The type of a file, with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Directory,
    File(Fingerprint),
    Symlink(Vec<u8>),
    CharacterDevice(Option<(u32, u32)>),
    BlockDevice(Option<(u32, u32)>),
    Fifo,
}

/// Content, for comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub length: u64,
    pub crc32c: u32,
}

impl Fingerprint {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut this = Self::default();
        this.add(bytes);
        this
    }

    pub(crate) fn of_file(mut file: File) -> Self {
        let mut this = Self::default();
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer).unwrap() {
                0 => return this,
                length => this.add(&buffer[..length]),
            }
        }
    }

    fn of_source(source: &Source) -> Self {
        match &source.origin {
            Origin::Bytes(bytes) => Self::of(bytes),
            Origin::HostFile(file) => Self::of_file(File::open(file.path()).unwrap()),
            Origin::Range { container, offset } => {
                let mut bytes = vec![0; usize::try_from(source.length).unwrap()];
                container
                    .with_file(|file| file.read_exact_at(&mut bytes, *offset))
                    .unwrap();
                Self::of(&bytes)
            }
            Origin::Late(_) => panic!("no tree of the tests holds what is late"),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
    }
}

/// What must be seen of the image of `tree`, with the `lost+found` that it is given.
pub(crate) fn expected(tree: &Tree) -> Facts {
    let mut found = BTreeMap::new();
    expect(tree, Tree::ROOT, Vec::new(), &mut found);
    let mut facts = with_first_names(found);
    add_lost_and_found(&mut facts);
    // Linux has the count 1 for "more than I can count", past 65,000.
    for fact in facts.values_mut() {
        if fact.what == What::Directory {
            fact.links = fact
                .links
                .map(|links| if links > 65_000 { 1 } else { links });
        }
    }
    facts
}

/// Adds the directory that a tree is given if it has none.
fn add_lost_and_found(facts: &mut Facts) {
    let path = b"/lost+found";
    if facts.contains_key(&path[..]) {
        return;
    }
    let fact = Fact {
        what: What::Directory,
        mode: 0o700,
        uid: 0,
        gid: 0,
        mtime: Timestamp::from_seconds(TIME.into()),
        links: Some(2),
        first_name: Some(path.to_vec()),
        xattrs: Some(Xattrs::new()),
    };
    facts.insert(path.to_vec(), fact);
    if let Some(root) = facts.get_mut(&b""[..]) {
        root.links = root.links.map(|links| links + 1);
    }
}

fn expect(tree: &Tree, id: NodeId, path: Vec<u8>, facts: &mut BTreeMap<Vec<u8>, (u64, Fact)>) {
    let node = tree.node(id);
    let subdirectories = tree
        .entries(id)
        .filter(|(_, child)| tree.node(*child).is_directory())
        .count();
    for (name, child) in tree.entries(id) {
        let path = [&path, &b"/"[..], name.as_bytes()].concat();
        expect(tree, child, path, facts);
    }
    let device = |number: &nix2image::tree::DeviceNumber| Some((number.major, number.minor));
    let fact = Fact {
        what: match &node.kind {
            Kind::Directory(_) => What::Directory,
            Kind::File(source) => What::File(Fingerprint::of_source(source)),
            Kind::Symlink(target) => What::Symlink(target.to_vec()),
            Kind::CharacterDevice(number) => What::CharacterDevice(device(number)),
            Kind::BlockDevice(number) => What::BlockDevice(device(number)),
            Kind::Fifo => What::Fifo,
        },
        mode: node.metadata.mode,
        uid: node.metadata.uid,
        gid: node.metadata.gid,
        mtime: node.metadata.mtime,
        links: node.is_directory().then_some(2 + subdirectories as u64),
        first_name: None,
        xattrs: Some(*node.metadata.xattrs.clone().unwrap_or_default()),
    };
    facts.insert(path, (id.index() as u64, fact));
}

/// Facts from what was found with a number that all names of a file share; a file
/// without a link count gets as many as it has names.
pub(crate) fn with_first_names(found: BTreeMap<Vec<u8>, (u64, Fact)>) -> Facts {
    let mut names: BTreeMap<u64, (Vec<u8>, u64)> = BTreeMap::new();
    for (path, (number, _)) in &found {
        names.entry(*number).or_insert_with(|| (path.clone(), 0)).1 += 1;
    }
    let facts = found.into_iter().map(|(path, (number, mut fact))| {
        let (first, count) = &names[&number];
        fact.first_name = Some(first.clone());
        fact.links = fact.links.or(Some(*count));
        (path, fact)
    });
    facts.collect()
}

/// Fails with the first differences, if there are any.
#[track_caller]
pub(crate) fn assert_same(found: &Facts, expected: &Facts, reader: &str) {
    const SHOWN: usize = 5;
    let paths: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let differences: Vec<_> = paths
        .into_iter()
        .filter(|path| found.get(*path) != expected.get(*path))
        .collect();
    let shown: Vec<_> = differences
        .iter()
        .take(SHOWN)
        .map(|path| {
            format!(
                "{}\n  found    {:?}\n  expected {:?}",
                path.escape_ascii(),
                found.get(*path),
                expected.get(*path)
            )
        })
        .collect();
    assert!(
        differences.is_empty(),
        "{reader} sees {} files otherwise than the tree has them:\n{}",
        differences.len(),
        shown.join("\n")
    );
}
