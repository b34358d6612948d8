//! Binary caches in directories, of which something is wrong.

use std::process::Command;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::closures::node;
use super::{Stage, Subject};

pub(super) fn subjects() -> Vec<Subject> {
    vec![caches(), narinfos()]
}

fn hash(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// The cache, as the program sees it.
const CACHE: &str = "/mnt/cache";
/// The NAR in it.
const NAR: &str = "/mnt/cache/nar/hello.nar";
/// The narinfo in it.
const NARINFO: &str = "/mnt/cache/00000000000000000000000000000000.narinfo";

/// An image of a cache of one path, whose narinfo and NAR are changed.
fn cache(
    stage: &Stage,
    compression: &str,
    narinfo: impl Fn(String) -> String,
    bytes: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Command {
    let nar = node(b"hello, hello, hello, hello, hello");
    let file = match compression {
        "zstd" => zstd::encode_all(&nar[..], 1).unwrap(),
        _ => nar.clone(),
    };
    let text = format!(
        "StorePath: {}\nURL: nar/hello.nar\nCompression: {compression}\nFileHash: {}\n\
         FileSize: {}\nNarHash: {}\nNarSize: {}\nReferences: \n",
        Stage::path("hello"),
        hash(&file),
        file.len(),
        hash(&nar),
        nar.len(),
    );
    stage.write(NARINFO, narinfo(text));
    stage.write(NAR, bytes(file));
    image(stage)
}

fn image(stage: &Stage) -> Command {
    stage.image(json!({ "binaryCaches": [{ "cache": CACHE, "paths": [Stage::path("hello")] }] }))
}

/// The same with the line of `key` in the narinfo changed.
fn with(key: &'static str, value: &'static str) -> impl Fn(&Stage) -> Command {
    move |stage| {
        let change = |text: String| {
            let lines = text.lines().map(|line| match line.split_once(": ") {
                Some((found, _)) if found == key => format!("{key}: {value}\n"),
                _ => format!("{line}\n"),
            });
            lines.collect()
        };
        let command = cache(stage, "none", change, |bytes| bytes);
        stage.show(&format!("{key}: {value}"));
        command
    }
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn caches() -> Subject {
    let same = |text: String| text;
    Subject::new("Binary caches", "The attribute `binaryCaches`.")
        .case("The directory is not there", image)
        .case("The path is not in it", |stage| {
            stage.directory(CACHE);
            image(stage)
        })
        .case("It lacks a path that another one refers to", {
            with("References", "11111111111111111111111111111111-glibc")
        })
        .case("It is of another store", |stage| {
            stage.write("/mnt/cache/nix-cache-info", "StoreDir: /gnu/store\n");
            image(stage)
        })
        .case("A NAR is missing", |stage| {
            let command = cache(stage, "none", |text| text, |bytes| bytes);
            std::fs::remove_file(stage.seen(NAR)).unwrap();
            command
        })
        .case("A NAR was cut short", move |stage| {
            cache(stage, "none", same, |bytes| bytes[..50].into())
        })
        .case("A compressed NAR is damaged", move |stage| {
            cache(stage, "zstd", same, |mut bytes| {
                bytes[3] ^= 0x10;
                bytes
            })
        })
        .case("Another file stands in its place", move |stage| {
            let other = node(b"HELLO, hello, hello, hello, hello");
            let other = zstd::encode_all(&other[..], 1).unwrap();
            let size = other.len();
            let with_size = move |text: String| {
                let lines = text.lines().map(|line| match line.split_once(": ") {
                    Some(("FileSize", _)) => format!("FileSize: {size}\n"),
                    _ => format!("{line}\n"),
                });
                lines.collect()
            };
            cache(stage, "zstd", with_size, move |_| other.clone())
        })
        .case("It unpacks to more than its size", move |stage| {
            let shorter = |text: String| text.replace("NarSize: 1", "NarSize: ");
            cache(stage, "zstd", shorter, |bytes| bytes)
        })
        .case("It unpacks to less than its size", move |stage| {
            let longer = |text: String| text.replace("NarSize: ", "NarSize: 1");
            cache(stage, "zstd", longer, |bytes| bytes)
        })
        .case("What is in the file is no NAR", move |stage| {
            let other = |text: String| text.replace("FileHash: sha256:", "FileHash: sha512:");
            cache(stage, "none", other, |bytes| vec![b'x'; bytes.len()])
        })
        .case("Something follows the NAR in its file", move |stage| {
            let longer = |text: String| {
                let lines = text.lines().map(|line| match line.split_once(": ") {
                    Some(("NarSize" | "FileSize", size)) => {
                        let size: u64 = size.parse().unwrap();
                        line.replace(&size.to_string(), &(size + 8).to_string()) + "\n"
                    }
                    Some(("FileHash", _)) => String::new(),
                    _ => format!("{line}\n"),
                });
                lines.collect()
            };
            cache(stage, "none", longer, |bytes| [bytes, vec![0; 8]].concat())
        })
        .case("There is no room to unpack it", move |stage| {
            stage.first("mount -t tmpfs -o size=4k tmpfs /tmp");
            let nar = node(&vec![b'x'; 1 << 20]);
            let size = nar.len();
            let file = zstd::encode_all(&nar[..], 1).unwrap();
            stage.write(
                NARINFO,
                format!(
                    "StorePath: {}\nURL: nar/hello.nar\nCompression: zstd\nNarHash: {}\n\
                     NarSize: {size}\nReferences: \n",
                    Stage::path("hello"),
                    hash(&nar)
                ),
            );
            stage.write(NAR, file);
            image(stage)
        })
        .case("There is no directory for temporary files", move |stage| {
            let mut command = cache(stage, "zstd", same, |bytes| bytes);
            command.env("TMPDIR", "/does/not/exist");
            command
        })
        .case("The sizes in its narinfos are too large", {
            |stage| {
                let huge = |text: String| {
                    let lines = text.lines().map(|line| match line.split_once(": ") {
                        Some(("NarSize", _)) => format!("NarSize: {}\n", u64::MAX),
                        _ => format!("{line}\n"),
                    });
                    lines.collect()
                };
                cache(stage, "zstd", huge, |bytes| bytes)
            }
        })
}

fn narinfos() -> Subject {
    /// A narinfo of this text.
    fn text(text: &'static [u8]) -> impl Fn(&Stage) -> Command {
        move |stage| {
            stage.write(NARINFO, text);
            let command = image(stage);
            stage.show(&String::from_utf8_lossy(text));
            command
        }
    }
    Subject::new("Files .narinfo", "")
        .case("It is another file", text(b"<html>404</html>\n"))
        .case("It is not text", text(b"StorePath: \xff\n"))
        .case("It was cut within a line", text(b"StorePath: /nix/st"))
        .case("It was cut behind a line", text(b"URL: nar/hello.nar\n"))
        .case("A key is there twice", text(b"NarSize: 1\nNarSize: 2\n"))
        .case("It is of another path", {
            with(
                "StorePath",
                "/nix/store/00000000000000000000000000000000-hullo",
            )
        })
        .case("It names no store path", with("StorePath", "hello"))
        .case("A reference is none", with("References", "glibc"))
        .case(
            "It names a file elsewhere",
            with("URL", "https://cache.example.org/hello.nar"),
        )
        .case("It is compressed otherwise", with("Compression", "bzip2"))
        .case("A hash is none", with("NarHash", "sha256:none"))
        .case(
            "The hash of the file is none",
            with("FileHash", "sha256:none"),
        )
        .case("A size is none", with("NarSize", "large"))
        .case("The size of the file is another", with("FileSize", "5"))
}
