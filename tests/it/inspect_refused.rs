//! `nix2image inspect` on what is no image, not all of one, or not a sound one; and when what is
//! asked for is not there.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix2image::error::Chain;
use nix2image::image::Container;
use nix2image::inspect::{EntryKind, Image as Inspected, InspectError, PartFiles};
use nix2image::job::Job;
use nix2image::progress::{Listener, Progress};
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::contained::Written;
use crate::support::direct::Direct;
use crate::support::disk::Sources;
use crate::support::env;
use crate::support::fat::{self, FatImage};
use crate::support::image::Image;
use crate::support::images::{
    MIB, boot_tree, built_disk, containers, gpt, mbr, pieces, sample, spacious, two_partitions,
};
use crate::support::inspected::{content, inspected, nix2image, refusal};
use crate::support::sample::{everything, noise, tight};
use crate::support::temporary;

/// A file with these bytes, gone with the directory.
fn put_file(directory: &Path, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join("file");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_no_image_is_refused_and_the_message_says_what_it_is() {
    let directory = temporary::directory();
    let refused = |bytes: &[u8], words: &str| {
        let file = put_file(directory.path(), bytes);
        let line = refusal(&mut nix2image("inspect", &file), 2);
        assert!(
            line.starts_with(&format!("cannot read the image {}: ", file.display())),
            "{line}"
        );
        assert!(line.contains(words), "{line}");
    };
    refused(b"", "it has 0 bytes, and an image has 512 at least");
    refused(&[b'x'; 5000], "neither a partition table nor a filesystem");
    refused(
        &vec![0; 1 << 20],
        "neither a partition table nor a filesystem",
    );
    let gzip = [b"\x1f\x8b".to_vec(), vec![1; 600]].concat();
    refused(&gzip, "it is compressed with gzip; unpack it first");
    let mut tar = tar_archive();
    refused(&tar, "it is a tar archive, not a disk");
    tar = zstd::stream::encode_all(&tar[..], 1).unwrap();
    refused(&tar, "it is a tar archive, not a disk");
}

fn tar_archive() -> Vec<u8> {
    let pieces = nix2image::tar::lay_out(boot_tree()).unwrap();
    let written = Written::new(pieces, Container::Raw, 1);
    fs::read(written.path()).unwrap()
}

#[test]
fn what_is_not_there_is_told_beside_what_is() {
    let sources = Sources::new();
    let disk = two_partitions(&sources, gpt(512));
    let derivation = built_disk(&sources, &disk, json!({}));
    let image = derivation.out();
    let refused = |arguments: &[&str]| refusal(nix2image("inspect", &image).args(arguments), 2);
    let line = refused(&["ls", "--partition", "3"]);
    assert!(
        line.ends_with(
            r#"it has no partition 3; there are 1 "ESP" (fat16), 2 "a \"root\"" (ext4)"#
        ),
        "{line}"
    );
    let line = refused(&["cat", "--partition", "1", "/no/file"]);
    assert!(
        line.ends_with(
            "partition 1: there is no /no/file in it; `ls` shows what is in a directory"
        ),
        "{line}"
    );
    let line = refusal(&mut nix2image("inspect", Path::new("/does/not/exist")), 1);
    assert!(
        line.starts_with("cannot read the image /does/not/exist: cannot find it: "),
        "{line}"
    );

    let plain = Image::of(boot_tree(), &tight());
    let mut command = nix2image("inspect", &plain.path());
    let line = refusal(command.args(["ls", "--partition", "1", "/"]), 2);
    assert!(
        line.ends_with("it has no partitions: leave out --partition"),
        "{line}"
    );
}

#[test]
fn of_filesystems_without_a_store_one_has_to_be_chosen() {
    let sources = Sources::new();
    let contents = json!([{ "source": sources.put("x", "x"), "target": "/x" }]);
    let fat = |label: &str| {
        let fat = json!({ "label": label, "volumeId": "0x2178694e", "contents": contents });
        json!({ "type": "fat32", "content": { "fat": fat } })
    };
    let swap = json!({
        "type": "linux",
        "content": { "file": sources.put("swap", swap()) },
    });
    let disk = |partitions: Value| {
        let mut disk = mbr();
        disk["partitions"] = partitions;
        let derivation = Direct::without_graphs(&json!({ "kind": "disk", "disk": disk }));
        run(&mut derivation.builder_with_store(sources.store()));
        derivation
    };
    let two = disk(json!([fat("ONE"), fat("TWO"), swap]));
    let line = refusal(nix2image("inspect", &two.out()).args(["ls", "/"]), 2);
    assert!(
        line.ends_with(
            "it has 2 filesystems, and none of them holds /nix/store; choose one with \
             --partition: 1 (fat12), 2 (fat12)"
        ),
        "{line}"
    );
    let mut command = nix2image("inspect", &two.out());
    let line = refusal(command.args(["ls", "--partition", "3", "/"]), 2);
    assert!(
        line.ends_with(
            "partition 3 holds swap, and only ext4 and FAT are read here; choose another partition"
        ),
        "{line}"
    );
    assert_eq!(
        inspected(&two.out())["partitions"][2]["filesystem"],
        json!({ "type": "swap" })
    );
    let one = disk(json!([swap, fat("ONE")]));
    assert_eq!(content(&one.out(), &["x"]), b"x");
    let none = disk(json!([swap]));
    let line = refusal(nix2image("inspect", &none.out()).args(["ls", "/"]), 2);
    assert!(
        line.ends_with("ext4 and FAT are; there are 1 (swap)"),
        "{line}"
    );
}

/// A swap area.
fn swap() -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    bytes[4086..4096].copy_from_slice(b"SWAPSPACE2");
    bytes
}

/// The first `length` bytes of `image`, as a file in `directory`.
#[track_caller]
fn cut(image: &Path, length: u64, directory: &Path) -> PathBuf {
    let path = directory.join("cut");
    run(Command::new("cp")
        .arg("--sparse=always")
        .arg(image)
        .arg(&path));
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length).unwrap();
    path
}

#[test]
fn an_image_that_is_cut_off_is_called_so() {
    let directory = temporary::directory();
    for (container, named, _) in containers() {
        let image = Written::new(pieces(sample(), &spacious()), container, 2);
        for length in [image.bytes() - 4096, image.bytes() / 2, 5000] {
            if named["format"] == "qcow2" && length > image.bytes() / 2 {
                // Its last cluster is that of a copy of metadata, which nobody reads.
                continue;
            }
            let cut = cut(&image.path(), length, directory.path());
            // What follows the tables is missed by who reads it.
            let said = all_content(&cut).expect_err("something is missing");
            let words = ["is cut off", "it is cut off or damaged"];
            let is_told = words.iter().any(|word| said.contains(word));
            assert!(is_told, "{named} of {length} bytes: {said}");
        }
    }
}

/// Reads all files of `image`, or gives the error as it is told.
fn all_content(image: &Path) -> Result<(), String> {
    fn read(files: &PartFiles<'_>, directory: &[u8]) -> Result<(), InspectError> {
        for entry in files.list(&[directory, b"/"].concat())? {
            let path = [directory, b"/", &entry.name].concat();
            match entry.kind {
                EntryKind::Directory => read(files, &path)?,
                EntryKind::File => files.copy(&path, &mut std::io::sink())?,
                _ => {}
            }
        }
        Ok(())
    }
    let job = Job::default();
    Inspected::open(image, &job)
        .and_then(|image| read(&image.files(None, &job)?, b""))
        .map_err(|error| Chain(&error).to_string())
}

#[test]
fn a_disk_that_is_cut_off_is_called_so() {
    let sources = Sources::new();
    let directory = temporary::directory();
    for (table, words) in [
        (
            gpt(512),
            "the disk is cut off: its GPT has its second copy up to byte",
        ),
        (mbr(), "the disk is cut off: partition 2 ends at byte"),
    ] {
        let disk = two_partitions(&sources, table);
        let derivation = built_disk(&sources, &disk, json!({}));
        let size = derivation.out().metadata().unwrap().len();
        let cut = cut(&derivation.out(), size - 2 * MIB, directory.path());
        let line = refusal(&mut nix2image("inspect", &cut), 2);
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn a_gpt_is_read_from_either_of_its_copies() {
    let sources = Sources::new();
    let disk = two_partitions(&sources, gpt(512));
    let derivation = built_disk(&sources, &disk, json!({}));
    let whole = inspected(&derivation.out());
    let size = derivation.out().metadata().unwrap().len();
    let directory = temporary::directory();
    let damaged = |offsets: &[u64]| {
        let image = cut(&derivation.out(), size, directory.path());
        let file = OpenOptions::new().write(true).open(&image).unwrap();
        for offset in offsets {
            file.write_all_at(&[0xff], *offset).unwrap();
        }
        image
    };
    // The disk's GUID in the first header, an entry of the last copy.
    let (first, last) = (512 + 56, size - 33 * 512 + 20);
    for (offset, copies) in [(first, "last"), (last, "first")] {
        let mut found = inspected(&damaged(&[offset]));
        assert_eq!(found["table"]["copies"], copies);
        found["table"]["copies"] = json!("both");
        assert_eq!(found["table"], whole["table"]);
        assert_eq!(found["partitions"], whole["partitions"]);
    }
    let line = refusal(&mut nix2image("inspect", &damaged(&[first, last])), 2);
    assert!(
        line.ends_with("both copies of the GPT are damaged: the header's checksum of the first is not what it should be"),
        "{line}"
    );
}

/// Changes bytes of `image`, looks at all of it, and changes them back. It may be refused; to
/// panic, or never to end, is a fault.
fn look_at_damaged(image: &Path, bytes: &[(u64, u8)]) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(image)
        .unwrap();
    let mut before = Vec::new();
    for (offset, byte) in bytes {
        let mut old = [0];
        file.read_exact_at(&mut old, *offset).unwrap();
        before.push((*offset, old));
        file.write_all_at(&[*byte], *offset).unwrap();
    }
    look_at(image);
    for (offset, old) in before.into_iter().rev() {
        file.write_all_at(&old, offset).unwrap();
    }
}

fn look_at(image: &Path) {
    let job = Job::default();
    if let Ok(inspected) = Inspected::open(image, &job) {
        let _ = (
            inspected.to_string(),
            nix2image::inspect::json::image(&inspected),
        );
        for number in [None, Some(1), Some(2)] {
            let Ok(files) = inspected.files(number, &job) else {
                continue;
            };
            for path in [
                "/",
                "/types",
                "/names",
                "/nix/store",
                "/EFI/BOOT",
                "/overlays",
            ] {
                let Ok(entries) = files.list(path.as_bytes()) else {
                    continue;
                };
                for entry in entries.iter().take(20) {
                    let path = [path.as_bytes(), &entry.name].join(&b'/');
                    let mut sink = Limited(1 << 24);
                    let _ = files.copy(&path, &mut sink);
                }
            }
        }
    }
    let progress = Progress::new(Listener::Nobody, &job);
    let _ = nix2image::verify::verify(image, None, &job, &progress);
}

/// Takes so many bytes, and then none.
struct Limited(usize);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.checked_sub(bytes.len()) {
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
            Some(left) => {
                self.0 = left;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn damage_is_refused_and_never_a_panic_or_without_an_end() {
    let sources = Sources::new();
    let mut images: Vec<(Box<dyn std::any::Any>, PathBuf)> = Vec::new();
    for (container, _, _) in containers() {
        let image = Written::new(pieces(everything(), &tight()), container, 2);
        let path = image.path();
        images.push((Box::new(image), path));
    }
    for fat_type in [fat_type("fat12"), fat_type("fat16"), fat_type("fat32")] {
        let image = FatImage::of(&boot_tree(), &fat_type);
        let path = image.path();
        images.push((Box::new(image), path));
    }
    for table in [gpt(512), gpt(4096), mbr()] {
        let disk = two_partitions(&sources, table);
        let image = built_disk(&sources, &disk, json!({}));
        let path = image.out();
        images.push((Box::new(image), path));
    }
    let rounds = if env::is_full() { 2000 } else { 60 };
    for (_, path) in &images {
        let size = path.metadata().unwrap().len();
        for seed in 0..rounds {
            let random = noise(64, seed + 1);
            let (numbers, _) = random.as_chunks::<8>();
            let changes: Vec<(u64, u8)> = numbers
                .iter()
                .take(1 + usize::from(random[0] % 4))
                .map(|number| {
                    let number = u64::from_le_bytes(*number);
                    // Most of what is said of the rest stands at both ends.
                    let offset = match number % 5 {
                        0 | 1 => number / 8 % 4096,
                        2 => size - 1 - number / 8 % 1024,
                        3 => number / 8 % (1 << 16),
                        _ => number / 8 % size,
                    };
                    (
                        offset.min(size - 1),
                        random[usize::from(number.to_le_bytes()[7] % 64)],
                    )
                })
                .collect();
            look_at_damaged(path, &changes);
        }
    }
}

fn fat_type(name: &str) -> nix2image::fat::Options {
    nix2image::fat::Options {
        fat_type: Some(name.parse().unwrap()),
        ..fat::options()
    }
}
