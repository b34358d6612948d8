use std::fs;
use std::process::Command;

use proptest::prelude::*;
use tar::{Builder, Header};

use super::*;

const MTIME: Timestamp = Timestamp::from_seconds(1);

fn unpack_bytes(bytes: &[u8]) -> Result<Unpacked, ArchiveError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    unpack(file.path(), MTIME)
}

fn fault(bytes: &[u8]) -> ArchiveFault {
    unpack_bytes(bytes).map(|_| ()).unwrap_err().fault
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o4750);
    header.set_uid(1000);
    header.set_gid(100);
    header.set_mtime(77);
    header
}

/// A header with a name that the `tar` crate would not write.
fn raw(kind: EntryType, name: &[u8], link: &[u8]) -> Header {
    let mut header = header(kind, 0);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..name.len()].copy_from_slice(name);
    gnu.linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    header
}

/// A tar file of `headers`, none of which has content.
fn archive(headers: &[Header]) -> Vec<u8> {
    let mut bytes: Vec<u8> = headers
        .iter()
        .flat_map(|header| *header.as_bytes())
        .collect();
    bytes.extend([0; 1024]);
    bytes
}

fn archive_of(build: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    build(&mut builder);
    builder.into_inner().unwrap()
}

fn file_archive(name: &str, content: &[u8]) -> Vec<u8> {
    archive_of(|builder| {
        let mut header = header(EntryType::Regular, content.len() as u64);
        builder.append_data(&mut header, name, content).unwrap();
    })
}

fn find(tree: &Tree, path: &str) -> NodeId {
    path.split('/').fold(Tree::ROOT, |id, name| {
        tree.lookup(id, &Name::new(name).unwrap())
            .unwrap_or_else(|| panic!("{path} has no {name}"))
    })
}

/// Trees are walked from directory to directory, and so may not be as deep as a name is long.
#[test]
fn a_name_is_no_longer_than_a_path_may_be() {
    let long = |length: usize| file_archive(&"a/".repeat(length)[..length], b"");
    unpack_bytes(&long(4095)).unwrap();
    assert!(matches!(
        fault(&long(4097)),
        ArchiveFault::TooLarge {
            value: 4097,
            limit: 4095,
            ..
        }
    ));
}

#[test]
fn a_file_keeps_its_metadata_and_its_content_stays_where_it_is() {
    let bytes = file_archive("./a/b", b"content");
    let Unpacked { tree, implied } = unpack_bytes(&bytes).unwrap();
    let node = tree.node(find(&tree, "a/b"));
    let expected = Metadata {
        mode: 0o4750,
        uid: 1000,
        gid: 100,
        mtime: Timestamp::from_seconds(77),
        xattrs: None,
    };
    assert_eq!(node.metadata, expected);
    let Kind::File(Source {
        length: 7,
        origin: Origin::Range { offset, .. },
        ..
    }) = node.kind
    else {
        panic!("{node:?}")
    };
    let offset = usize::try_from(offset).unwrap();
    assert_eq!(&bytes[offset..offset + 7], b"content");
    let directory = find(&tree, "a");
    assert_eq!(
        tree.node(directory).metadata,
        Metadata::of_root(0o755, MTIME)
    );
    assert_eq!(implied, [Tree::ROOT, directory].into());
}

#[test]
fn every_type_is_kept() {
    let mut null = raw(EntryType::Char, b"null", b"");
    null.set_device_major(1).unwrap();
    null.set_device_minor(3).unwrap();
    null.set_cksum();
    let Unpacked { tree, implied } = unpack_bytes(&archive(&[
        raw(EntryType::Directory, b"./", b""),
        raw(EntryType::Regular, b"file\xff\n", b""),
        raw(EntryType::Link, b"linked", b"./file\xff\n"),
        raw(EntryType::Symlink, b"link", b"../x"),
        raw(EntryType::Fifo, b"fifo", b""),
        raw(EntryType::Regular, b"v7 directory/", b""),
        null,
    ]))
    .unwrap();
    let kind = |name| &tree.node(find(&tree, name)).kind;
    assert!(matches!(kind("link"), Kind::Symlink(target) if **target == *b"../x"));
    assert!(matches!(kind("fifo"), Kind::Fifo));
    assert!(matches!(kind("v7 directory"), Kind::Directory(_)));
    let number = DeviceNumber { major: 1, minor: 3 };
    assert!(matches!(kind("null"), Kind::CharacterDevice(found) if *found == number));
    let file = tree.lookup(Tree::ROOT, &Name::new(b"file\xff\n").unwrap());
    assert_eq!(file, Some(find(&tree, "linked")));
    assert_eq!(tree.node(Tree::ROOT).metadata.mode, 0o4750);
    assert!(implied.is_empty());
}

#[test]
fn what_gnu_tar_writes_is_read_in_each_of_its_formats() {
    let directory = tempfile::tempdir().unwrap();
    let long = ["l".repeat(200), "m".repeat(255)].join("/");
    fs::create_dir(directory.path().join("l".repeat(200))).unwrap();
    fs::write(directory.path().join(&long), "content").unwrap();
    fs::hard_link(
        directory.path().join(&long),
        directory.path().join("name\nnewline"),
    )
    .unwrap();
    for format in ["gnu", "posix"] {
        let out = directory.path().with_extension("tar");
        let status = Command::new("tar")
            .args([
                "--format",
                format,
                "--mtime=@-5.25",
                "--owner=:3000000",
                "--sort=name",
                "-cf",
            ])
            .arg(&out)
            .arg("-C")
            .arg(directory.path())
            .arg(".")
            .status();
        assert!(status.unwrap().success());
        let unpacked = unpack(&out, MTIME).unwrap();
        let tree = &unpacked.tree;
        let node = tree.node(find(tree, &long));
        assert_eq!(find(tree, &long), find(tree, "name\nnewline"), "{format}");
        assert_eq!(node.metadata.uid, 3_000_000, "{format}");
        let time = match format {
            "posix" => Timestamp {
                seconds: -6,
                nanoseconds: 750_000_000,
            },
            _ => Timestamp::from_seconds(-6),
        };
        assert_eq!(node.metadata.mtime, time, "{format}");
        assert!(unpacked.implied.is_empty());
        fs::remove_file(out).unwrap();
    }
}

#[test]
fn pax_headers_give_xattrs_long_names_and_times() {
    let name = "n".repeat(255);
    let bytes = archive_of(|builder| {
        let records: [(&str, &[u8]); 4] = [
            ("path", name.as_bytes()),
            ("mtime", b"5.000000001"),
            ("uid", b"4294967294"),
            ("SCHILY.xattr.user.x", b"a\nb\0"),
        ];
        builder.append_pax_extensions(records).unwrap();
        builder
            .append(&raw(EntryType::Regular, b"short", b""), io::empty())
            .unwrap();
    });
    let Unpacked { tree, .. } = unpack_bytes(&bytes).unwrap();
    let metadata = &tree.node(find(&tree, &name)).metadata;
    let time = Timestamp {
        seconds: 5,
        nanoseconds: 1,
    };
    assert_eq!((metadata.mtime, metadata.uid), (time, u32::MAX - 1));
    let xattrs: Xattrs = [(b"user.x"[..].into(), b"a\nb\0"[..].into())].into();
    assert_eq!(metadata.xattrs.as_deref(), Some(&xattrs));
}

#[test]
fn a_directory_may_be_described_again_and_after_what_is_in_it() {
    let mut last = raw(EntryType::Directory, b"a", b"");
    last.set_mode(0o700);
    last.set_cksum();
    let headers = [
        raw(EntryType::Regular, b"a/b", b""),
        raw(EntryType::Directory, b"a/", b""),
        last,
    ];
    let Unpacked { tree, implied } = unpack_bytes(&archive(&headers)).unwrap();
    assert_eq!(tree.node(find(&tree, "a")).metadata.mode, 0o700);
    assert_eq!(implied, [Tree::ROOT].into());
}

#[test]
fn two_files_of_one_name_are_refused() {
    let headers = [
        raw(EntryType::Regular, b"x", b""),
        raw(EntryType::Regular, b"a", b""),
        raw(EntryType::Symlink, b"./a", b"x"),
    ];
    let error = unpack_bytes(&archive(&headers)).map(|_| ()).unwrap_err();
    assert_eq!((error.offset, error.entry.as_deref()), (1024, Some("./a")));
    assert!(matches!(
        error.fault,
        ArchiveFault::Duplicate { first: 512 }
    ));
}

#[test]
fn names_that_cannot_stand_below_the_target_are_refused() {
    let one = |name: &[u8]| fault(&archive(&[raw(EntryType::Regular, name, b"")]));
    assert!(matches!(one(b"/etc/passwd"), ArchiveFault::Escape));
    assert!(matches!(one(b"a/../b"), ArchiveFault::Escape));
    let long = fault(&file_archive(&"n".repeat(256), b""));
    assert!(matches!(
        long,
        ArchiveFault::Name(NameError::TooLong { length: 256, .. })
    ));
    let through = archive(&[
        raw(EntryType::Symlink, b"link", b"/"),
        raw(EntryType::Regular, b"link/etc", b""),
    ]);
    assert!(matches!(fault(&through), ArchiveFault::Parent { parent } if parent == "link"));
}

#[test]
fn links_to_nothing_are_refused() {
    for (kind, target) in [(EntryType::Link, &b"later"[..]), (EntryType::Link, b".")] {
        let bytes = archive(&[
            raw(kind, b"l", target),
            raw(EntryType::Regular, b"later", b""),
        ]);
        assert!(matches!(fault(&bytes), ArchiveFault::LinkTarget { .. }));
    }
    let bytes = archive(&[raw(EntryType::Symlink, b"l", b"")]);
    assert!(matches!(fault(&bytes), ArchiveFault::EmptySymlink));
}

#[test]
fn types_that_an_image_does_not_hold_are_refused() {
    let sparse = archive(&[raw(EntryType::GNUSparse, b"s", b"")]);
    assert!(matches!(fault(&sparse), ArchiveFault::Sparse));
    let with_record = |key| {
        archive_of(|builder| {
            let record: (&str, &[u8]) = (key, b"1");
            builder.append_pax_extensions([record]).unwrap();
            let header = raw(EntryType::Regular, b"s", b"");
            builder.append(&header, io::empty()).unwrap();
        })
    };
    let pax_sparse = with_record("GNU.sparse.major");
    assert!(matches!(fault(&pax_sparse), ArchiveFault::Sparse));
    let acl = with_record("SCHILY.acl.access");
    assert!(matches!(fault(&acl), ArchiveFault::Record(key) if key == "SCHILY.acl.access"));
    let volume = archive(&[raw(EntryType::new(b'M'), b"m", b"")]);
    assert!(matches!(fault(&volume), ArchiveFault::Type(b'M')));
}

#[test]
fn what_is_no_tar_file_is_told_apart() {
    for (magic, format) in [
        (&b"\x1f\x8b\x08"[..], "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh9", "bzip2"),
    ] {
        let file = [magic, &[7; 2000]].concat();
        assert!(matches!(fault(&file), ArchiveFault::Compressed(found) if found == format));
        assert!(matches!(fault(magic), ArchiveFault::Compressed(found) if found == format));
    }
    assert!(matches!(fault(&[b'x'; 5000]), ArchiveFault::NotTar));
    let mut damaged = file_archive("a", b"content");
    damaged[0] ^= 1;
    assert!(matches!(fault(&damaged), ArchiveFault::Checksum { .. }));
}

#[test]
fn an_archive_cut_short_anywhere_is_refused() {
    let whole = archive_of(|builder| {
        for name in ["a".into(), "b".repeat(200)] {
            let mut header = header(EntryType::Regular, 700);
            builder
                .append_data(&mut header, name, &[1; 700][..])
                .unwrap();
        }
    });
    assert!(unpack_bytes(&whole).is_ok());
    let end_mark = whole.len() - 1024;
    for length in (0..end_mark + 512).step_by(64) {
        assert!(
            matches!(
                fault(&whole[..length]),
                ArchiveFault::Truncated { .. } | ArchiveFault::NoEnd | ArchiveFault::NotTar
            ),
            "{length}: {:?}",
            fault(&whole[..length])
        );
    }
    assert!(unpack_bytes(&[0; 1024]).is_ok(), "an empty archive is one");
}

#[test]
fn an_error_says_where_and_what_to_do() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut bytes = file_archive("a", b"content");
    bytes.truncate(515);
    fs::write(file.path(), bytes).unwrap();
    let error = unpack(file.path(), MTIME).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot unpack {}: \"a\", the entry at byte 0",
            file.path().display()
        )
    );
    assert_eq!(
        error.fault.to_string(),
        "it ends at byte 519, but the file has only 515 bytes; it was cut short"
    );
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let mut header = raw(EntryType::Regular, b"a", b"");
    header.set_uid(u32::MAX.into());
    header.set_cksum();
    assert!(matches!(
        fault(&archive(&[header])),
        ArchiveFault::TooLarge {
            field: "uid",
            value: 0xFFFF_FFFF,
            ..
        }
    ));
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic_or_reach_beyond_the_file(
        damage in proptest::collection::vec((0_usize..4096, any::<u8>()), 0..4),
        mend: bool,
    ) {
        let mut bytes = archive_of(|builder| {
            let record: (&str, &[u8]) = ("SCHILY.xattr.user.x", b"y");
            builder.append_pax_extensions([record]).unwrap();
            let mut header = header(EntryType::Regular, 5);
            builder.append_data(&mut header, "n".repeat(120), &b"12345"[..]).unwrap();
        });
        let length = bytes.len();
        for (at, byte) in damage {
            bytes[at % length] = byte;
        }
        if mend {
            for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
                let mut header = Header::new_old();
                header.as_mut_bytes().copy_from_slice(block);
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        if let Ok(mut unpacked) = unpack_bytes(&bytes) {
            for node in unpacked.tree.nodes_mut() {
                if let Kind::File(Source { length: size, origin: Origin::Range { offset, .. }, .. }) = &node.kind {
                    prop_assert!(offset + size <= length as u64);
                }
            }
        }
    }
}
