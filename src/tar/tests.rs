use super::*;
use crate::source::Source;
use crate::tree::{DeviceNumber, Metadata, Name, Node, Timestamp};

const TIME: Timestamp = Timestamp::from_seconds(1);

fn metadata() -> Metadata {
    Metadata::of_root(0o755, TIME)
}

fn name(bytes: &[u8]) -> Name {
    Name::new(bytes).unwrap()
}

fn tree_with(node: Node) -> Tree {
    let mut tree = Tree::new(Node::directory(metadata()));
    tree.insert(Tree::ROOT, name(b"x"), node).unwrap();
    tree
}

fn fault(node: Node) -> TarFault {
    let error = lay_out(tree_with(node)).unwrap_err();
    assert_eq!(error.path, "./x");
    error.fault
}

#[test]
fn an_archive_ends_in_zeros_at_a_multiple_of_10240() {
    let size = |length: usize| {
        let file = Node::file(metadata(), Source::bytes(vec![1; length]));
        lay_out(tree_with(file)).unwrap().size()
    };
    assert_eq!(size(0), 10_240);
    // Two headers and the end are 2,048 bytes.
    assert_eq!(size(8192), 10_240);
    assert_eq!(size(8193), 20_480);
}

#[test]
fn all_bytes_are_covered() {
    let file = Node::file(metadata(), Source::bytes([1; 700]));
    let pieces = lay_out(tree_with(file)).unwrap();
    assert_eq!(pieces.covered(), pieces.size());
}

#[test]
fn what_no_archive_holds_is_refused_with_its_path() {
    assert_eq!(
        fault(Node::symlink(metadata(), *b"")),
        TarFault::EmptySymlink
    );
    assert_eq!(
        fault(Node::symlink(metadata(), *b"a\0")),
        TarFault::Nul {
            field: "symlink's target"
        }
    );
    let major = 0o7_777_777;
    let device = |minor| Node {
        metadata: metadata().into(),
        kind: Kind::BlockDevice(DeviceNumber { major, minor }),
    };
    assert!(lay_out(tree_with(device(major))).is_ok());
    let minor = major + 1;
    assert_eq!(fault(device(minor)), TarFault::Device { major, minor });
    let mut node = Node::directory(metadata());
    node.metadata.mode = 0o10_000;
    assert_eq!(fault(node), TarFault::Mode { mode: 0o10_000 });
    let mut node = Node::directory(metadata());
    node.metadata.xattrs = Some(Box::new([(b"a\0"[..].into(), b""[..].into())].into()));
    assert_eq!(
        fault(node),
        TarFault::Nul {
            field: "xattr's name"
        }
    );
}

#[test]
fn the_root_is_a_directory_and_a_directory_has_one_name() {
    let error = lay_out(Tree::new(Node::symlink(metadata(), *b"a"))).unwrap_err();
    assert_eq!((&*error.path, error.fault), ("./", TarFault::Root));
    let mut tree = tree_with(Node::directory(metadata()));
    let directory = tree.lookup(Tree::ROOT, &name(b"x")).unwrap();
    tree.link(directory, name(b"y"), directory).unwrap();
    let error = lay_out(tree).unwrap_err();
    assert_eq!(
        (&*error.path, error.fault),
        ("./x/y", TarFault::DirectoryLink)
    );
}

#[test]
fn a_file_of_more_than_8_gib_has_its_size_in_a_record() {
    let length = (8 << 30) + 1;
    // Nothing is read before an archive is written.
    let origin = crate::source::Origin::Bytes([].into());
    let file = Node::file(metadata(), Source::new(length, origin));
    let pieces = lay_out(tree_with(file)).unwrap();
    let [_, head, content, ..] = pieces.as_slice() else {
        panic!("{pieces:?}")
    };
    assert_eq!((head.offset, head.length), (512, 3 * 512));
    assert_eq!((content.offset, content.length), (2048, (8 << 30) + 512));
    let Content::Encoded(head) = &head.content else {
        panic!("{head:?}")
    };
    let mut bytes = vec![0; 3 * 512];
    head.encode(&mut bytes);
    assert!(bytes[512..].starts_with(b"19 size=8589934593\n"));
    assert_eq!(&bytes[1024..][124..136], b"77777777777\0");
}
