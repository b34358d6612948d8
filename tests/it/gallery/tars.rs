//! Tar files that are to be unpacked, and cannot be.

use std::io;
use std::process::Command;

use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::attributes::LEAST;
use super::{Stage, Subject};

pub(super) fn subjects() -> Vec<Subject> {
    vec![files(), entries()]
}

/// An image with what is in a file of these bytes.
fn unpacked(stage: &Stage, bytes: impl AsRef<[u8]>) -> Command {
    let source = stage.put("files.tar", bytes);
    stage.image(json!({ "contents": [{ "source": source, "target": "/", "unpack": true }] }))
}

/// A header without content.
fn entry(kind: EntryType, name: &[u8], link: &[u8]) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..name.len()].copy_from_slice(name);
    gnu.linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    header
}

fn archive(headers: &[Header]) -> Vec<u8> {
    let headers = headers.iter().flat_map(|header| *header.as_bytes());
    headers.chain([0; 1024]).collect()
}

/// An archive with one file.
fn whole() -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let mut header = entry(EntryType::Regular, b"", b"");
    header.set_size(700);
    builder
        .append_data(&mut header, "etc/notes", &[b'x'; 700][..])
        .unwrap();
    builder.into_inner().unwrap()
}

/// A file with a record before it in a pax header.
fn with_record(key: &str, value: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([(key, value)]).unwrap();
    builder
        .append(&entry(EntryType::Regular, b"file", b""), io::empty())
        .unwrap();
    builder.into_inner().unwrap()
}

fn files() -> Subject {
    Subject::new(
        "Tar files",
        "`contents` with `unpack = true`. Bytes count from the start of the tar file.",
    )
    .case("It is compressed", |stage| {
        unpacked(stage, b"\x1f\x8b\x08 and more")
    })
    .case("It is no tar file", |stage| unpacked(stage, [b'x'; 2000]))
    .case("It is a directory", |stage| {
        let source = stage.directory(&Stage::path("files"));
        stage.image(json!({ "contents": [{ "source": source, "target": "/", "unpack": true }] }))
    })
    .case("A byte is damaged", |stage| {
        let mut bytes = whole();
        bytes[0] ^= 1;
        unpacked(stage, bytes)
    })
    .case("It was cut short within a file", |stage| {
        unpacked(stage, &whole()[..1000])
    })
    .case("It was cut short behind a file", |stage| {
        unpacked(stage, &whole()[..1536])
    })
    .case("A pax header has no record", |stage| {
        let mut bytes = with_record("comment", b"x");
        bytes[512] = b'x';
        unpacked(stage, bytes)
    })
    .case("A pax header has a number that is none", |stage| {
        unpacked(stage, with_record("mtime", b"yesterday"))
    })
    .case("A pax header is the last entry", |stage| {
        let mut builder = Builder::new(Vec::new());
        builder
            .append_pax_extensions([("comment", &b"x"[..])])
            .unwrap();
        unpacked(stage, builder.into_inner().unwrap())
    })
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn entries() -> Subject {
    let one = |kind, name: &'static [u8], link: &'static [u8]| {
        move |stage: &Stage| unpacked(stage, archive(&[entry(kind, name, link)]))
    };
    Subject::new("Entries of tar files", "")
        .case(
            "An absolute name",
            one(EntryType::Regular, b"/etc/passwd", b""),
        )
        .case(
            "A name that leads out",
            one(EntryType::Regular, b"../etc/passwd", b""),
        )
        .case("A name that is too long", |stage| {
            unpacked(stage, with_record("path", "x".repeat(256).as_bytes()))
        })
        .case("A file below a symlink", |stage| {
            unpacked(
                stage,
                archive(&[
                    entry(EntryType::Symlink, b"link", b"/"),
                    entry(EntryType::Regular, b"link/etc", b""),
                ]),
            )
        })
        .case("A name that is there twice", |stage| {
            let file = entry(EntryType::Regular, b"file", b"");
            unpacked(stage, archive(&[file.clone(), file]))
        })
        .case(
            "A hard link to a later file",
            one(EntryType::Link, b"a", b"later"),
        )
        .case(
            "A symlink without a target",
            one(EntryType::Symlink, b"a", b""),
        )
        .case("A symlink whose target is too long", |stage| {
            let mut builder = Builder::new(Vec::new());
            let target = [b'x'; 5000];
            let record: (&str, &[u8]) = ("linkpath", &target);
            builder.append_pax_extensions([record]).unwrap();
            let header = entry(EntryType::Symlink, b"link", b"x");
            builder.append(&header, io::empty()).unwrap();
            unpacked(stage, builder.into_inner().unwrap())
        })
        .case("A sparse file", one(EntryType::GNUSparse, b"disk.img", b""))
        .case("An access control list", |stage| {
            unpacked(stage, with_record("SCHILY.acl.access", b"user::rw-"))
        })
        .case("An extended attribute that ext4 does not store", |stage| {
            unpacked(
                stage,
                with_record("SCHILY.xattr.btrfs.compression", b"zstd"),
            )
        })
        .case("An extended attribute whose name is too long", |stage| {
            let key = format!("SCHILY.xattr.user.{}", "x".repeat(256));
            unpacked(stage, with_record(&key, b""))
        })
        .case("An access control list that is none", |stage| {
            unpacked(
                stage,
                with_record("SCHILY.xattr.system.posix_acl_access", b"rwx"),
            )
        })
        .case("Extended attributes that are too large", |stage| {
            unpacked(stage, with_record("SCHILY.xattr.user.large", &[0; 5000]))
        })
        .case("A time that ext4 does not hold", |stage| {
            unpacked(stage, with_record("mtime", b"99999999999"))
        })
        .case("A time that e2fsck mistakes", |stage| {
            unpacked(stage, with_record("mtime", b"11000000000"))
        })
        .case(
            "A type that no file has",
            one(EntryType::new(b'M'), b"volume", b""),
        )
        .case("An owner that is none", |stage| {
            let mut header = entry(EntryType::Regular, b"file", b"");
            header.set_uid(u32::MAX.into());
            header.set_cksum();
            unpacked(stage, archive(&[header]))
        })
        .case("A mode that is none", |stage| {
            let mut header = entry(EntryType::Regular, b"file", b"");
            header.as_gnu_mut().unwrap().mode = *b"rw-r--r-";
            header.set_cksum();
            unpacked(stage, archive(&[header]))
        })
        .case("A device that Linux does not have", |stage| {
            let mut header = entry(EntryType::Char, b"device", b"");
            header.set_device_major(4096).unwrap();
            header.set_device_minor(0).unwrap();
            header.set_cksum();
            unpacked(stage, archive(&[header]))
        })
        .case("A file with 65,001 names", |stage| {
            let mut headers = vec![entry(EntryType::Regular, b"0", b"")];
            for number in 1..=65_000 {
                let name = number.to_string();
                headers.push(entry(EntryType::Link, name.as_bytes(), b"0"));
            }
            unpacked(stage, archive(&headers))
        })
        .case(
            "65,000 directories in one without the feature `dir_nlink`",
            |stage| {
                let headers = (0..65_000).map(|number: u32| {
                    let name = number.to_string();
                    entry(EntryType::Directory, name.as_bytes(), b"")
                });
                let source = stage.put("files.tar", archive(&headers.collect::<Vec<_>>()));
                let contents = json!([{ "source": source, "target": "/", "unpack": true }]);
                stage.image(json!({ "ext4": { "profile": LEAST }, "contents": contents }))
            },
        )
        .case(
            "A file at lost+found",
            one(EntryType::Regular, b"lost+found", b""),
        )
}
