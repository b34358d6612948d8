//! Random trees: as recipes, which print in few words and shrink well.

use std::collections::BTreeMap;

use nix2image::source::Source;
use nix2image::tree::{DeviceNumber, Kind, Metadata, Name, Node, Timestamp, Tree, Xattrs};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::sample;

#[path = "recipe/bytes.rs"]
mod bytes;

pub(crate) use bytes::Bytes;

/// How to make a tree.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    root: Look,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    /// Which of the directories so far, counted round.
    parent: usize,
    name: Vec<u8>,
    what: What,
    look: Look,
}

#[derive(Clone, Debug)]
enum What {
    Directory,
    /// A directory with as many entries, whose names have so many bytes at least.
    Crowd(usize, usize),
    File(usize),
    Symlink(usize),
    CharacterDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    /// One more name of one of the files so far, counted round.
    HardLink(usize),
}

#[derive(Clone, Debug)]
struct Look {
    mode: u16,
    uid: u32,
    gid: u32,
    seconds: i64,
    nanoseconds: u32,
    /// Name to length of value.
    xattrs: BTreeMap<Vec<u8>, usize>,
    acl: Option<u32>,
    capability: bool,
}

/// Deeper directories than this get no more: a path has at most 4095 bytes.
const DEEPEST: usize = 12;

impl Recipe {
    /// The tree.
    pub(crate) fn tree(&self) -> Tree {
        let mut root = sample::directory();
        root.metadata = self.root.metadata(&root.kind).into();
        let mut tree = Tree::new(root);
        let mut directories = vec![(Tree::ROOT, 0)];
        let mut files = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let (parent, depth) = directories[step.parent % directories.len()];
            let name = Name::new(&step.name).expect("recipes give names");
            if let What::HardLink(which) = &step.what {
                if !files.is_empty() {
                    // A taken name is no loss.
                    let _taken = tree.link(parent, name, files[which % files.len()]);
                }
                continue;
            }
            let kind = step.what.kind(number as u64);
            let metadata = step.look.metadata(&kind);
            let Ok(id) = tree.insert(
                parent,
                name,
                Node {
                    metadata: metadata.into(),
                    kind,
                },
            ) else {
                continue;
            };
            if !tree.node(id).is_directory() {
                files.push(id);
            } else if depth < DEEPEST {
                directories.push((id, depth + 1));
            }
            if let What::Crowd(entries, length) = step.what {
                for entry in 0..entries {
                    let name = format!("{entry:x}-{}", "n".repeat(length));
                    sample::put(&mut tree, id, name, sample::file(""));
                }
            }
        }
        tree
    }
}

impl What {
    fn kind(&self, seed: u64) -> Kind {
        let device = |&major, &minor| DeviceNumber { major, minor };
        match self {
            Self::Directory | Self::Crowd(..) => Kind::Directory(BTreeMap::new()),
            Self::File(length) => Kind::File(Source::bytes(sample::noise(*length, seed))),
            Self::Symlink(length) => {
                let mut target = sample::noise(*length, seed);
                for byte in &mut target {
                    *byte = (*byte).max(1);
                }
                Kind::Symlink(target.into())
            }
            Self::CharacterDevice(major, minor) => Kind::CharacterDevice(device(major, minor)),
            Self::BlockDevice(major, minor) => Kind::BlockDevice(device(major, minor)),
            Self::Fifo | Self::HardLink(_) => Kind::Fifo,
        }
    }
}

impl Look {
    fn metadata(&self, kind: &Kind) -> Metadata {
        // The kernel shows `user.` and lists only where they mean something.
        let is_plain = matches!(kind, Kind::File(_) | Kind::Directory(_));
        let mut xattrs: Xattrs = self
            .xattrs
            .iter()
            .filter(|(name, _)| is_plain || !name.starts_with(b"user."))
            .map(|(name, length)| {
                let value = sample::noise(*length, name.len() as u64);
                (name[..].into(), value.into())
            })
            .collect();
        if let (Some(user), true) = (self.acl, is_plain) {
            xattrs.insert(
                b"system.posix_acl_access"[..].into(),
                sample::acl(user).into(),
            );
        }
        if self.capability {
            xattrs.insert(
                b"security.capability"[..].into(),
                sample::CAPABILITY[..].into(),
            );
        }
        Metadata {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: Timestamp {
                seconds: self.seconds,
                nanoseconds: self.nanoseconds,
            },
            xattrs: (!xattrs.is_empty()).then(|| Box::new(xattrs)),
        }
    }
}

/// Trees of all that a tree can be.
pub(crate) fn recipes() -> impl Strategy<Value = Recipe> {
    (look(), vec(step(), 0..60)).prop_map(|(root, steps)| Recipe { root, steps })
}

fn step() -> impl Strategy<Value = Step> {
    (any::<usize>(), names(), what(), look()).prop_map(|(parent, name, what, look)| Step {
        parent,
        name,
        what,
        look,
    })
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => 1..=255_u8,
        1 => prop::sample::select(b" \n'\"\\$.-*\t\xff".to_vec()),
    ];
    let length = prop_oneof![6 => 1..20_usize, 1 => 1..=255_usize, 1 => Just(255_usize)];
    length
        .prop_flat_map(move |length| vec(byte.clone(), length))
        .prop_map(as_name)
}

/// Bytes without NUL as a name that may stand in a tree.
fn as_name(mut name: Vec<u8>) -> Vec<u8> {
    for byte in &mut name {
        if *byte == b'/' {
            *byte = b'|';
        }
    }
    if matches!(&name[..], b"." | b".." | b"lost+found") {
        name.push(b'_');
    }
    name
}

fn what() -> impl Strategy<Value = What> {
    let number = || (0..4096_u32, prop_oneof![0..300_u32, 0..1_u32 << 20]);
    let length = prop_oneof![
        6 => 0..9000_usize,
        6 => prop::sample::select(vec![0, 1, 4095, 4096, 4097, 8191, 8192, 8193]),
        1 => 0..3_000_000_usize,
    ];
    let target = prop_oneof![
        3 => prop::sample::select(vec![59_usize, 60, 61, 4095]),
        2 => 1..=4095_usize,
    ];
    let entries = prop_oneof![4 => 0..30_usize, 2 => 100..400_usize, 1 => 1000..3000_usize];
    prop_oneof![
        6 => Just(What::Directory),
        2 => (entries, 0..200_usize).prop_map(|(entries, length)| What::Crowd(entries, length)),
        8 => length.prop_map(What::File),
        4 => target.prop_map(What::Symlink),
        1 => number().prop_map(|(major, minor)| What::CharacterDevice(major, minor)),
        1 => number().prop_map(|(major, minor)| What::BlockDevice(major, minor)),
        1 => Just(What::Fifo),
        3 => any::<usize>().prop_map(What::HardLink),
    ]
}

fn look() -> impl Strategy<Value = Look> {
    // The last id means "nobody" to the kernel.
    let id = || prop_oneof![Just(0), 0..70_000_u32, 0..u32::MAX];
    // Not those from 2310 to 2378, which e2fsck takes for times before 1970.
    let seconds = prop_oneof![
        2 => 0..=1_700_000_000_i64,
        1 => -(1_i64 << 31)..(3_i64 << 32) - (1 << 31),
        1 => (3_i64 << 32)..=(1_i64 << 34) - (1 << 31) - 1,
    ];
    let nanoseconds = prop_oneof![Just(0), 0..1_000_000_000_u32];
    let acl = prop::option::weighted(0.1, 0..u32::MAX);
    let capability = prop::bool::weighted(0.1);
    (
        0..=0o7777_u16,
        id(),
        id(),
        seconds,
        nanoseconds,
        xattrs(),
        acl,
        capability,
    )
        .prop_map(
            |(mode, uid, gid, seconds, nanoseconds, xattrs, acl, capability)| Look {
                mode,
                uid,
                gid,
                seconds,
                nanoseconds,
                xattrs,
                acl,
                capability,
            },
        )
}

/// At most what one block takes in any case.
fn xattrs() -> impl Strategy<Value = BTreeMap<Vec<u8>, usize>> {
    let namespace = prop::sample::select(vec!["user.", "trusted.", "security.x"]);
    let name = (namespace, vec(1..=255_u8, 1..30))
        .prop_map(|(namespace, rest)| [namespace.as_bytes(), &rest].concat());
    let length = prop_oneof![4 => 0..60_usize, 1 => 0..700_usize];
    let some = btree_map(name, length, 0..5);
    prop_oneof![4 => Just(BTreeMap::new()), 1 => some]
}
