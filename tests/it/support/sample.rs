//! Trees made by hand.

use nix2image::ext4::{Options, Uuid};
use nix2image::source::Source;
use nix2image::tree::{DeviceNumber, Kind, Metadata, Name, Node, NodeId, Timestamp, Tree, Xattrs};

/// The time of the filesystems that the tests make.
pub(crate) const TIME: u32 = 1_700_000_000;

/// Some filesystem, with nothing left free on purpose.
pub(crate) fn tight() -> Options {
    Options {
        label: "nix2image test".parse().unwrap(),
        time: TIME,
        free_bytes: 0,
        free_inodes: 0,
        ..Options::new(Uuid(*b"nix2image tests."))
    }
}

/// The same with what is left free by default.
pub(crate) fn roomy() -> Options {
    Options {
        free_bytes: Options::DEFAULT_FREE_BYTES,
        free_inodes: Options::DEFAULT_FREE_INODES,
        ..tight()
    }
}

pub(crate) fn name(bytes: impl AsRef<[u8]>) -> Name {
    Name::new(bytes).unwrap()
}

/// Root's, with a time of its own.
pub(crate) fn metadata(mode: u16) -> Metadata {
    Metadata::of_root(mode, Timestamp::from_seconds(1_234_567_890))
}

pub(crate) fn directory() -> Node {
    Node::directory(metadata(0o755))
}

pub(crate) fn file(content: impl AsRef<[u8]>) -> Node {
    Node::file(metadata(0o644), Source::bytes(content.as_ref()))
}

pub(crate) fn symlink(target: impl AsRef<[u8]>) -> Node {
    Node::symlink(metadata(0o777), target.as_ref())
}

pub(crate) fn device(kind: fn(DeviceNumber) -> Kind, major: u32, minor: u32) -> Node {
    Node {
        metadata: metadata(0o660).into(),
        kind: kind(DeviceNumber { major, minor }),
    }
}

pub(crate) fn fifo() -> Node {
    Node {
        metadata: metadata(0o600).into(),
        kind: Kind::Fifo,
    }
}

pub(crate) fn with_xattrs(mut node: Node, xattrs: &[(&str, &[u8])]) -> Node {
    let xattrs: Xattrs = xattrs
        .iter()
        .map(|(name, value)| (name.as_bytes().into(), (*value).into()))
        .collect();
    node.metadata.xattrs = Some(Box::new(xattrs));
    node
}

/// An empty tree.
pub(crate) fn empty() -> Tree {
    Tree::new(directory())
}

/// Puts `node` into `parent`.
#[track_caller]
pub(crate) fn put(tree: &mut Tree, parent: NodeId, at: impl AsRef<[u8]>, node: Node) -> NodeId {
    tree.insert(parent, name(at), node).unwrap()
}

/// A tree of `nodes` in its root.
pub(crate) fn tree_of<N: AsRef<[u8]>>(nodes: impl IntoIterator<Item = (N, Node)>) -> Tree {
    let mut tree = empty();
    for (at, node) in nodes {
        put(&mut tree, Tree::ROOT, at, node);
    }
    tree
}

/// Bytes that look random and depend on `seed`.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A `security.capability` of version 2, as the kernel wants it: `CAP_NET_RAW`.
pub(crate) const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// An access control list as `getxattr` gives it, with a named user.
pub(crate) fn acl(user: u32) -> Vec<u8> {
    const NO_ID: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6, NO_ID),
        (0x02, 4, user),
        (0x04, 5, NO_ID),
        (0x10, 5, NO_ID),
        (0x20, 4, NO_ID),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// Something of everything.
pub(crate) fn everything() -> Tree {
    let mut tree = empty();
    add_types(&mut tree);
    add_names(&mut tree);
    add_times_and_owners(&mut tree);
    add_xattrs(&mut tree);
    let deep = put(&mut tree, Tree::ROOT, "deep", directory());
    let mut at = deep;
    for depth in 0..12 {
        at = put(&mut tree, at, format!("level {depth}"), directory());
    }
    put(&mut tree, at, "bottom", file("here"));
    let many = put(&mut tree, Tree::ROOT, "many", directory());
    for number in 0..1000 {
        put(&mut tree, many, format!("entry {number}"), file(""));
    }
    tree
}

fn add_types(tree: &mut Tree) {
    let types = put(tree, Tree::ROOT, "types", directory());
    for length in [0, 1, 4095, 4096, 4097, 12 * 4096, (1 << 20) + 1] {
        put(
            tree,
            types,
            format!("file {length}"),
            file(noise(length, 1)),
        );
    }
    for length in [1, 58, 59, 60, 61, 1000, 4094, 4095] {
        let target = vec![b'x'; length];
        put(tree, types, format!("symlink {length}"), symlink(target));
    }
    for (major, minor) in [(1, 3), (255, 255), (256, 0), (0, 256), (4095, 0xf_ffff)] {
        let block = device(Kind::BlockDevice, major, minor);
        put(tree, types, format!("block {major}:{minor}"), block);
        let character = device(Kind::CharacterDevice, major, minor);
        put(tree, types, format!("char {major}:{minor}"), character);
    }
    put(tree, types, "fifo", fifo());
    let linked = put(tree, types, "linked", file("one file"));
    tree.link(types, name("another name"), linked).unwrap();
    tree.link(Tree::ROOT, name("zz elsewhere"), linked).unwrap();
    let linked = put(tree, types, "linked symlink", symlink("target"));
    tree.link(types, name("its other name"), linked).unwrap();
}

fn add_names(tree: &mut Tree) {
    let names = put(tree, Tree::ROOT, "names", directory());
    let hostile: [&[u8]; 10] = [
        b" ",
        b"new\nline",
        b"'\"`$(quote)\\",
        b"\xff\xfe",
        b"...",
        b"-rf",
        b"\x01\x7f",
        "ümläut".as_bytes(),
        &[b'n'; 255],
        &[0xff; 254],
    ];
    for bytes in hostile {
        put(tree, names, bytes, file(bytes));
    }
}

fn add_times_and_owners(tree: &mut Tree) {
    let times = put(tree, Tree::ROOT, "times and owners", directory());
    let seconds = [
        -(1_i64 << 31),
        -1,
        0,
        (1 << 31) - 1,
        1 << 31,
        (1 << 32) - 1,
        1 << 32,
        (1 << 33) + 5,
        (1 << 34) - (1 << 31) - 1,
    ];
    for seconds in seconds {
        for nanoseconds in [0, 1, 999_999_999] {
            let mut node = file("");
            node.metadata.mtime = Timestamp {
                seconds,
                nanoseconds,
            };
            put(tree, times, format!("{seconds}.{nanoseconds}"), node);
        }
    }
    for owner in [1, 65_535, 65_536, u32::MAX - 1] {
        let mut node = directory();
        node.metadata.uid = owner;
        node.metadata.gid = owner - 1;
        put(tree, times, format!("owner {owner}"), node);
    }
    for mode in [0, 0o7777, 0o4755, 0o2755, 0o1777, 0o001] {
        let mut node = file("");
        node.metadata.mode = mode;
        put(tree, times, format!("file {mode:o}"), node);
        let mut node = directory();
        node.metadata.mode = mode;
        put(tree, times, format!("directory {mode:o}"), node);
    }
}

fn add_xattrs(tree: &mut Tree) {
    let xattrs = put(tree, Tree::ROOT, "xattrs", directory());
    let capability: (&str, &[u8]) = ("security.capability", &CAPABILITY);
    let large = noise(3000, 2);
    put(
        tree,
        xattrs,
        "in the inode",
        with_xattrs(file("x"), &[capability]),
    );
    let both = [
        capability,
        ("user.large", &large[..]),
        ("trusted.empty", b""),
        ("user.a", b"1"),
        ("user.b", b"\0\xff"),
    ];
    put(tree, xattrs, "in both", with_xattrs(file("y"), &both));
    put(
        tree,
        xattrs,
        "directory",
        with_xattrs(
            directory(),
            &[
                ("system.posix_acl_access", &acl(1000)),
                ("system.posix_acl_default", &acl(70_000)),
                ("user.large", &large),
            ],
        ),
    );
    put(
        tree,
        xattrs,
        "symlink",
        with_xattrs(symlink("to"), &[("trusted.t", b"v")]),
    );
    put(
        tree,
        xattrs,
        "long symlink",
        with_xattrs(symlink([b'l'; 100]), &[("security.s", &large)]),
    );
    put(
        tree,
        xattrs,
        "fifo",
        with_xattrs(fifo(), &[("trusted.t", &large)]),
    );
    for number in 0..8 {
        let node = with_xattrs(file(""), &[("user.same", &large)]);
        put(tree, xattrs, format!("the same block {number}"), node);
    }
}
