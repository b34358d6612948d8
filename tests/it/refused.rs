//! Trees that no ext4 can hold: the error names the path and what is wrong.

use nix2image::ext4::{LayoutError, SizeError, Unfit, XattrError, lay_out};
use nix2image::source::{Origin, Source};
use nix2image::tree::{Kind, Node, Timestamp, Tree};

use crate::support::sample::{
    device, directory, empty, file, metadata, name, put, symlink, tight, tree_of, with_xattrs,
};

/// Why `tree` is refused, and at which path.
#[track_caller]
fn refusal(tree: Tree) -> (String, Unfit) {
    match lay_out(tree, &tight()) {
        Err(LayoutError::Unfit(error)) => {
            let text = LayoutError::Unfit(error.clone()).to_string();
            assert!(
                text.contains(&error.path),
                "{text:?} names {:?}",
                error.path
            );
            (error.path, error.reason)
        }
        Err(error) => panic!("{error:?}"),
        Ok(pieces) => panic!("it was laid out in {} bytes", pieces.size()),
    }
}

/// Why `node` is refused at `/directory/name`.
#[track_caller]
fn refusal_of(node: Node) -> Unfit {
    let mut tree = empty();
    let parent = put(&mut tree, Tree::ROOT, "directory", directory());
    put(&mut tree, parent, "name", node);
    let (path, reason) = refusal(tree);
    assert_eq!(path, "/directory/name");
    reason
}

#[test]
fn symlinks_of_no_byte_or_more_than_4095() {
    for length in [0, 4096, 70_000] {
        let reason = refusal_of(symlink(vec![b'x'; length]));
        assert_eq!(reason, Unfit::SymlinkLength { length });
    }
}

#[test]
fn times_before_1901_and_after_2446() {
    for seconds in [-(1 << 31) - 1, (1 << 34) - (1 << 31), i64::MIN, i64::MAX] {
        let mut node = file("");
        node.metadata.mtime = Timestamp::from_seconds(seconds);
        assert_eq!(refusal_of(node), Unfit::Time { seconds });
    }
}

/// e2fsck 1.47 says of them that they "are likely pre-1970".
#[test]
fn times_from_2310_to_2378_which_e2fsck_mistakes() {
    for seconds in [(3_i64 << 32) - (1 << 31), (3 << 32) - 1] {
        let mut node = file("");
        node.metadata.mtime = Timestamp::from_seconds(seconds);
        assert_eq!(refusal_of(node), Unfit::MistakenTime { seconds });
    }
}

#[test]
fn a_root_whose_time_does_not_fit() {
    let mut tree = empty();
    tree.node_mut(Tree::ROOT).metadata.mtime = Timestamp::from_seconds(1 << 40);
    assert_eq!(refusal(tree).0, "/");
}

#[test]
fn extended_attributes_of_unknown_namespaces() {
    for name in ["comment", "system.other", "btrfs.compression", ""] {
        let reason = refusal_of(with_xattrs(file(""), &[(name, b"x")]));
        let expected = XattrError::Namespace { name: name.into() };
        assert_eq!(reason, Unfit::Xattrs(expected));
    }
}

#[test]
fn extended_attributes_that_are_too_large() {
    let value = vec![0; 4096];
    for xattrs in [
        &[("user.large", &value[..])][..],
        &[("user.a", &value[..2100]), ("user.b", &value[..2100])],
        &[("user.huge", &vec![0; 1 << 20])],
    ] {
        let reason = refusal_of(with_xattrs(file(""), xattrs));
        assert!(
            matches!(reason, Unfit::Xattrs(XattrError::TooLarge { .. })),
            "{reason:?}"
        );
    }
}

#[test]
fn names_of_extended_attributes_that_are_too_long() {
    let long = format!("user.{}", "n".repeat(256));
    let reason = refusal_of(with_xattrs(file(""), &[(&long, b"")]));
    assert!(
        matches!(
            reason,
            Unfit::Xattrs(XattrError::NameTooLong { length: 256, .. })
        ),
        "{reason:?}"
    );
}

#[test]
fn access_control_lists_that_are_none() {
    let xattrs: [(&str, &[u8]); 1] = [("system.posix_acl_access", b"rwx")];
    let reason = refusal_of(with_xattrs(file(""), &xattrs));
    assert!(
        matches!(reason, Unfit::Xattrs(XattrError::Acl { .. })),
        "{reason:?}"
    );
}

#[test]
fn a_lost_and_found_that_is_no_directory() {
    for node in [file(""), symlink("elsewhere")] {
        let (path, reason) = refusal(tree_of([("lost+found", node)]));
        assert_eq!((&path[..], reason), ("/lost+found", Unfit::LostAndFound));
    }
}

#[test]
fn more_than_65_000_names_of_a_file() {
    let mut tree = empty();
    let linked = put(&mut tree, Tree::ROOT, "linked", file(""));
    let names = put(&mut tree, Tree::ROOT, "names", directory());
    for number in 1..65_000 {
        tree.link(names, name(format!("{number:05}")), linked)
            .unwrap();
    }
    assert!(lay_out(tree.clone(), &tight()).is_ok());
    tree.link(names, name("one too many"), linked).unwrap();
    assert_eq!(refusal(tree), ("/names/one too many".into(), Unfit::Links));
}

#[test]
fn directories_with_two_names() {
    let mut tree = empty();
    let twice = put(&mut tree, Tree::ROOT, "twice", directory());
    tree.link(Tree::ROOT, name("zwice"), twice).unwrap();
    assert_eq!(refusal(tree), ("/zwice".into(), Unfit::DirectoryLink));
    let mut tree = empty();
    let looped = put(&mut tree, Tree::ROOT, "looped", directory());
    tree.link(looped, name("self"), looped).unwrap();
    assert_eq!(refusal(tree), ("/looped/self".into(), Unfit::DirectoryLink));
    let mut tree = empty();
    tree.link(Tree::ROOT, name("root"), Tree::ROOT).unwrap();
    assert_eq!(refusal(tree), ("/root".into(), Unfit::DirectoryLink));
}

#[test]
fn files_of_more_than_16_tib() {
    let source = Source::new(1 << 44, Origin::Bytes([].into()));
    let reason = refusal_of(Node::file(metadata(0o644), source));
    assert_eq!(reason, Unfit::FileSize { size: 1 << 44 });
}

#[test]
fn more_content_than_16_tib() {
    let tree = tree_of((0..5).map(|number| {
        let source = Source::new(1 << 42, Origin::Bytes([].into()));
        (format!("{number}"), Node::file(metadata(0o644), source))
    }));
    let error = lay_out(tree, &tight()).unwrap_err();
    assert!(
        matches!(error, LayoutError::Size(SizeError::TooManyBlocks { .. })),
        "{error}"
    );
}

#[test]
fn a_lost_and_found_with_two_names() {
    let mut tree = empty();
    let lost_and_found = put(&mut tree, Tree::ROOT, "lost+found", directory());
    tree.link(Tree::ROOT, name("zwice"), lost_and_found)
        .unwrap();
    assert_eq!(refusal(tree).1, Unfit::DirectoryLink);
}

/// Linux has 12 bits for a driver and 20 for a device.
#[test]
fn device_numbers_of_more_than_12_and_20_bits() {
    for (major, minor) in [(4096, 0), (0, 1 << 20), (u32::MAX, u32::MAX)] {
        let mut tree = empty();
        put(
            &mut tree,
            Tree::ROOT,
            "device",
            device(Kind::CharacterDevice, major, minor),
        );
        assert_eq!(refusal(tree).0, "/device");
    }
}

#[test]
fn a_root_that_is_no_directory() {
    let laid_out = std::panic::catch_unwind(|| lay_out(Tree::new(file("")), &tight()));
    let error = laid_out.expect("it is an error").unwrap_err();
    assert!(error.to_string().contains('/'), "{error}");
}

#[test]
fn modes_of_more_than_12_bits() {
    let mut node = file("");
    node.metadata.mode = 0o100_644;
    let mut tree = empty();
    put(&mut tree, Tree::ROOT, "file", node);
    assert_eq!(refusal(tree).0, "/file");
}

#[test]
fn nanoseconds_of_a_second_and_more() {
    let mut node = file("");
    node.metadata.mtime.nanoseconds = 1_000_000_000;
    let mut tree = empty();
    put(&mut tree, Tree::ROOT, "file", node);
    assert_eq!(refusal(tree).0, "/file");
}

#[test]
fn times_of_the_root_and_of_lost_and_found() {
    let late = Timestamp::from_seconds(1 << 40);
    let mut tree = empty();
    tree.node_mut(Tree::ROOT).metadata.mtime = late;
    assert_eq!(refusal(tree).0, "/");
    let mut lost_and_found = directory();
    lost_and_found.metadata.mtime = late;
    assert_eq!(
        refusal(tree_of([("lost+found", lost_and_found)])).0,
        "/lost+found"
    );
}
