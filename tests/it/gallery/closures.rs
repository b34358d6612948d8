//! Closures that are not whole, disagree, or come from files that are broken.

use std::process::Command;

use serde_json::json;

use super::contents::graph;
use super::{Stage, Subject};

pub(super) fn subjects() -> Vec<Subject> {
    vec![whole(), text_graphs(), exports(), nars()]
}

fn hello() -> String {
    Stage::path("hello")
}

fn whole() -> Subject {
    Subject::new(
        "Closures",
        "What `graphs`, `textGraphs`, `exports` and `binaryCaches` give together.",
    )
    .case("A path that another one refers to is missing", |stage| {
        let mut closure = graph(&stage.put("hello", ""));
        closure[0]["references"] = json!([Stage::path("glibc")]);
        stage.image_of(&closure, json!({}))
    })
    .case("Two inputs disagree on the references of a path", |stage| {
        let hello = stage.put("hello", "");
        let glibc = stage.put("glibc", "");
        let text = format!("{hello}\n\n1\n{glibc}\n{glibc}\n\n0\n");
        let file = stage.put("graph", text);
        stage.image_of(&graph(&hello), json!({ "textGraphs": [file] }))
    })
    .case("Two inputs have another content for a path", |stage| {
        let file = stage.put("hello.closure", export(&node(b"the export's"), &hello()));
        let other = stage.put("other.closure", export(&node(b"of another"), &hello()));
        stage.image(json!({ "exports": [file, other] }))
    })
    .case(
        "The database is wanted, and the hash in the graph is another",
        |stage| {
            let file = stage.put("hello.closure", export(&node(b"hello"), &hello()));
            stage.image_of(&graph(&hello()), json!({ "exports": [file], "root": {} }))
        },
    )
}

/// An image of the text graph `text`.
fn text_graph(stage: &Stage, text: impl AsRef<[u8]>) -> Command {
    let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
    let file = stage.put("graph", text);
    let command = stage.image(json!({ "textGraphs": [file] }));
    stage.show(&shown);
    command
}

fn text_graphs() -> Subject {
    Subject::new(
        "Text graphs",
        "The attribute `textGraphs`, and FILE of `prepare-root`.",
    )
    .case("It is not there", |stage| {
        stage.image(json!({ "textGraphs": [Stage::path("graph")] }))
    })
    .case("It is another file", |stage| {
        text_graph(stage, "{ pkgs }:\npkgs.hello\n")
    })
    .case("It is not text", |stage| {
        text_graph(stage, b"/nix/store/\xff\n\n0\n")
    })
    .case("It is a registration", |stage| {
        let hash = "0".repeat(52);
        text_graph(stage, format!("{}\nsha256:{hash}\n112\n\n0\n", hello()))
    })
    .case("A number is none", |stage| {
        text_graph(stage, format!("{}\n\nnone\n", hello()))
    })
    .case("It was cut behind a number", |stage| {
        text_graph(stage, format!("{}\n\n2\n", hello()))
    })
    .case("It was cut behind a path", |stage| {
        text_graph(stage, format!("{}\n", hello()))
    })
    .case(
        "It was cut within a line: its last newline is missing",
        |stage| text_graph(stage, hello()),
    )
    .case("A path is there twice", |stage| {
        text_graph(stage, format!("{0}\n\n0\n{0}\n\n0\n", hello()))
    })
}

/// A string of a NAR: its length, its bytes, zeros up to a multiple of eight.
fn string(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = (bytes.len() as u64).to_le_bytes().to_vec();
    encoded.extend(bytes);
    encoded.resize(encoded.len().next_multiple_of(8), 0);
    encoded
}

fn strings<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    strings.into_iter().flat_map(string).collect()
}

/// A NAR of these strings behind its first.
fn nar<'a>(inner: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    strings([&b"nix-archive-1"[..]].into_iter().chain(inner))
}

/// The NAR of a file.
pub(super) fn node(content: &[u8]) -> Vec<u8> {
    nar([&b"("[..], b"type", b"regular", b"contents", content, b")"])
}

const MORE: [u8; 8] = 1_u64.to_le_bytes();
const NO_MORE: [u8; 8] = 0_u64.to_le_bytes();
const MAGIC: [u8; 8] = 0x4558_494e_u64.to_le_bytes();

/// What follows a NAR in an export: its path, no references, no deriver, no signature.
fn trailer(path: &str) -> Vec<u8> {
    [
        &MAGIC[..],
        &string(path.as_bytes()),
        &NO_MORE,
        &string(b""),
        &NO_MORE,
    ]
    .concat()
}

/// An export of one path.
fn export(nar: &[u8], path: &str) -> Vec<u8> {
    [&MORE[..], nar, &trailer(path), &NO_MORE].concat()
}

/// An image of an export of these bytes.
fn exported(stage: &Stage, bytes: impl AsRef<[u8]>) -> Command {
    let file = stage.put("hello.closure", bytes);
    stage.image(json!({ "exports": [file] }))
}

fn exports() -> Subject {
    let whole = || export(&node(b"hello"), &hello());
    Subject::new(
        "Exports",
        "The attribute `exports`; bytes count from the start of the file.",
    )
    .case("It is not there", |stage| {
        stage.image(json!({ "exports": [Stage::path("hello.closure")] }))
    })
    .case("It is a directory", |stage| {
        let directory = stage.directory(&Stage::path("hello.closure"));
        stage.image(json!({ "exports": [directory] }))
    })
    .case("It is another file", |stage| {
        exported(stage, "#!/bin/sh\nexec hello \"$@\"\n")
    })
    .case("It is empty", |stage| exported(stage, ""))
    .case("It was cut short", move |stage| {
        exported(stage, &whole()[..100])
    })
    .case("It was cut short, compressed", move |stage| {
        let bytes = zstd::encode_all(&whole()[..], 1).unwrap();
        exported(stage, &bytes[..bytes.len() - 8])
    })
    .case("It is another file, compressed", |stage| {
        exported(
            stage,
            zstd::encode_all(&b"and nothing of an export"[..], 1).unwrap(),
        )
    })
    .case("There is no room to unpack it", move |stage| {
        let large = export(&node(&vec![b'x'; 1 << 20]), &hello());
        stage.first("mount -t tmpfs -o size=64k tmpfs /tmp");
        exported(stage, zstd::encode_all(&large[..], 1).unwrap())
    })
    .case("Something follows it", move |stage| {
        exported(stage, [whole(), whole()].concat())
    })
    .case("A path is in it twice", |stage| {
        let one = [&MORE[..], &node(b"hello"), &trailer(&hello())].concat();
        exported(stage, [one.clone(), one, NO_MORE.to_vec()].concat())
    })
    .case("It is of another store", |stage| {
        exported(stage, export(&node(b"hello"), "/gnu/store/hello"))
    })
    .case("A number is damaged", move |stage| {
        let mut bytes = whole();
        bytes[0] = 7;
        exported(stage, bytes)
    })
}

fn nars() -> Subject {
    /// An export whose NAR has these strings in it.
    fn of(inner: &'static [&'static [u8]]) -> impl Fn(&Stage) -> Command {
        move |stage| exported(stage, export(&nar(inner.iter().copied()), &hello()))
    }
    /// A NAR of a directory with a file of this name.
    fn named(name: &[u8]) -> Vec<u8> {
        let file = [&b"node"[..], b"(", b"type", b"regular", b")", b")", b")"];
        let before = [
            &b"("[..],
            b"type",
            b"directory",
            b"entry",
            b"(",
            b"name",
            name,
        ];
        nar(before.into_iter().chain(file))
    }
    Subject::new("NARs", "What stands in exports and binary caches.")
        .case("It is none", |stage| {
            exported(stage, export(&string(b"nar"), &hello()))
        })
        .case(
            "It has an unknown type",
            of(&[b"(", b"type", b"fifo", b")"]),
        )
        .case("It lacks a parenthesis", of(&[b"type", b"regular"]))
        .case(
            "A symlink has no target",
            of(&[b"(", b"type", b"symlink", b"target", b"", b")"]),
        )
        .case("A name is not allowed", |stage| {
            exported(stage, export(&named(b".."), &hello()))
        })
        .case("A name is empty", |stage| {
            exported(stage, export(&named(b""), &hello()))
        })
        .case("A name has a slash", |stage| {
            exported(stage, export(&named(b"a/b"), &hello()))
        })
        .case(
            "Names are not in order",
            of(&[
                b"(",
                b"type",
                b"directory",
                b"entry",
                b"(",
                b"name",
                b"b",
                b"node",
                b"(",
                b"type",
                b"regular",
                b")",
                b")",
                b"entry",
                b"(",
                b"name",
                b"a",
                b"node",
                b"(",
                b"type",
                b"regular",
                b")",
                b")",
                b")",
            ]),
        )
        .case("Its directories are too deep", |stage| {
            let name = [b'x'; 250];
            let entry = [
                &b"("[..],
                b"type",
                b"directory",
                b"entry",
                b"(",
                b"name",
                &name,
                b"node",
            ];
            let deep = std::iter::repeat_n(entry, 20).flatten();
            exported(stage, export(&nar(deep), &hello()))
        })
        .case("A string is too long", |stage| {
            exported(
                stage,
                export(&nar([&b"("[..], b"type", &[b'x'; 100]]), &hello()),
            )
        })
        .case("Padding is not zero", |stage| {
            let mut bytes = export(&node(b"hello"), &hello());
            let at = bytes
                .windows(5)
                .position(|window| window == b"hello")
                .unwrap();
            bytes[at + 5] = 1;
            exported(stage, bytes)
        })
}
