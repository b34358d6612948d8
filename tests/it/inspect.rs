//! `nix2image inspect`: what it says of an image is what other tools say of it, and what it
//! shows of the files is what went in.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix2image::ext4::Options;
use nix2image::image::Container;
use nix2image::inspect::{EntryKind, Image as Inspected, PartFiles};
use nix2image::job::Job;
use nix2image::tree::Tree;
use serde_json::{Value, json};

use crate::support::command::{run, start};
use crate::support::contained::Written;
use crate::support::disk::{self, Loop, Sources};
use crate::support::facts::{self, Fact, Facts, Fingerprint, What};
use crate::support::fat::{self, FatImage, free_by_mtools};
use crate::support::image::{Image, number};
use crate::support::images::{
    boot_tree, built_disk, containers, gpt, mbr, pieces, sample, spacious, two_partitions,
};
use crate::support::inspected::{content, inspected, listed, nix2image, refusal};
use crate::support::profiles::profiles;
use crate::support::readers::visible_to_ext4_view;
use crate::support::sample::{
    directory, everything, file, noise, put, roomy, symlink, tight, tree_of,
};
use crate::support::temporary;

#[track_caller]
fn opened(image: &Path) -> Inspected {
    Inspected::open(image, &Job::default()).unwrap()
}

#[track_caller]
fn files(image: &Inspected) -> PartFiles<'_> {
    image.files(None, &Job::default()).unwrap()
}

/// All that is shown of the files of `image`, but for what is told of no file.
#[track_caller]
fn shown(image: &Inspected) -> Facts {
    let mut facts = Facts::new();
    add_shown(&files(image), b"", &mut facts);
    facts
}

fn add_shown(files: &PartFiles<'_>, directory: &[u8], facts: &mut Facts) {
    let path = [directory, b"/"].concat();
    for entry in files.list(&path).unwrap() {
        let path = [directory, b"/", &entry.name].concat();
        let unix = entry.unix.unwrap();
        let what = match entry.kind {
            EntryKind::Directory => What::Directory,
            EntryKind::Symlink => What::Symlink(entry.target.unwrap_or_default()),
            EntryKind::CharacterDevice => What::CharacterDevice(None),
            EntryKind::BlockDevice => What::BlockDevice(None),
            EntryKind::Fifo => What::Fifo,
            EntryKind::Socket => panic!("no tree has sockets"),
            EntryKind::File => {
                let mut bytes = Vec::new();
                files.copy(&path, &mut bytes).unwrap();
                assert_eq!(bytes.len() as u64, entry.size);
                What::File(Fingerprint::of(&bytes))
            }
        };
        let fact = Fact {
            what,
            mode: unix.mode,
            uid: unix.uid,
            gid: unix.gid,
            ..nothing_told()
        };
        if entry.kind == EntryKind::Directory {
            add_shown(files, &path, facts);
        }
        facts.insert(path, fact);
    }
}

fn nothing_told() -> Fact {
    Fact {
        what: What::Fifo,
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: nix2image::tree::Timestamp::from_seconds(0),
        links: None,
        first_name: None,
        xattrs: None,
    }
}

/// What must be shown of the image of `tree`.
fn expected(tree: &Tree) -> Facts {
    let mut facts = visible_to_ext4_view(facts::expected(tree));
    facts.remove(&b""[..]);
    for fact in facts.values_mut() {
        let what = match &fact.what {
            What::CharacterDevice(_) => What::CharacterDevice(None),
            What::BlockDevice(_) => What::BlockDevice(None),
            what => what.clone(),
        };
        *fact = Fact {
            what,
            mode: fact.mode,
            uid: fact.uid,
            gid: fact.gid,
            ..nothing_told()
        };
    }
    facts
}

#[test]
fn every_container_is_named_and_shows_the_files_that_went_in() {
    let expected = expected(&sample());
    for options in [tight(), spacious()] {
        let size = pieces(sample(), &options).size();
        for (container, named, format) in containers() {
            let image = Written::new(pieces(sample(), &options), container, 2);
            let json = inspected(&image.path());
            assert_eq!(json["container"], named);
            assert_eq!(json["diskBytes"], size, "{named}");
            assert_eq!(json["file"]["bytes"], image.bytes());
            assert_eq!(json["file"]["allocatedBytes"], image.allocated_bytes());
            assert_eq!(json["table"], Value::Null);
            assert_eq!(json["partitions"], json!([]));
            assert_eq!(json["filesystem"]["type"], "ext4");
            if !format.is_empty() {
                let info = run(Command::new("qemu-img")
                    .args(["info", "--output=json", "-f", format])
                    .arg(image.path()));
                let info: Value = serde_json::from_str(&info).unwrap();
                assert_eq!(info["virtual-size"], json["diskBytes"]);
            }
            facts::assert_same(
                &shown(&opened(&image.path())),
                &expected,
                &named.to_string(),
            );
        }
    }
}

#[test]
fn containers_that_qemu_made_are_read_too() {
    let raw = Written::new(pieces(sample(), &spacious()), Container::Raw, 2);
    let expected = expected(&sample());
    for (format, options) in [
        ("qcow2", "compat=0.10"),
        ("qcow2", "cluster_size=512"),
        ("qcow2", "cluster_size=2M"),
        ("vpc", "subformat=dynamic,force_size=on"),
        ("vpc", "subformat=fixed,force_size=on"),
    ] {
        for compressed in [&[][..], &["-c"]] {
            if format == "vpc" && !compressed.is_empty() {
                continue;
            }
            let image = raw.path().with_file_name("theirs");
            run(Command::new("qemu-img")
                .args(["convert", "-f", "raw", "-O", format, "-o", options])
                .args(compressed)
                .args([raw.path(), image.clone()]));
            let inspected = opened(&image);
            assert_eq!(inspected.disk_bytes(), raw.bytes(), "{options}");
            facts::assert_same(&shown(&inspected), &expected, options);
        }
    }
}

#[test]
fn ext4_is_told_as_dumpe2fs_tells_it() {
    for (name, features) in profiles() {
        let options = Options {
            features,
            ..roomy()
        };
        let image = Image::of(everything(), &options);
        let told = &inspected(&image.path())["filesystem"];
        let fields = image.superblock();
        let text = |name: &str| json!(fields[name]);
        let count = |name: &str| json!(number(&fields, name));
        assert_eq!(told["label"], text("Filesystem volume name"), "{name}");
        assert_eq!(told["identity"], text("Filesystem UUID"));
        let features: Vec<&str> = fields["Filesystem features"].split_whitespace().collect();
        assert_eq!(told["features"], json!(features), "{name}");
        assert_eq!(told["blockBytes"], count("Block size"));
        assert_eq!(told["blocks"], count("Block count"));
        assert_eq!(told["freeBlocks"], count("Free blocks"));
        assert_eq!(told["inodes"], count("Inode count"));
        assert_eq!(told["freeInodes"], count("Free inodes"));
        let [blocks, block] = ["freeBlocks", "blockBytes"].map(|name| told[name].as_u64().unwrap());
        assert_eq!(told["freeBytes"], blocks * block);
        let journal = fields.get("Total journal size").map(|size| kibibytes(size));
        assert_eq!(told["journalBytes"], json!(journal), "{name}");
    }
}

/// A size as dumpe2fs has it: `4096k`, `64M`.
fn kibibytes(text: &str) -> u64 {
    let (digits, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "k" => 1 << 10,
        "M" => 1 << 20,
        other => panic!("{other:?}"),
    };
    digits.parse::<u64>().unwrap() * unit
}

#[test]
fn ext2_and_ext3_are_called_so() {
    for kind in ["ext2", "ext3", "ext4"] {
        let directory = temporary::directory();
        let image = directory.path().join("image");
        run(Command::new("mke2fs")
            .args(["-q", "-t", kind, "-L", "some label"])
            .arg(&image)
            .arg("16M"));
        let told = inspected(&image);
        assert_eq!(told["filesystem"]["type"], kind);
        assert_eq!(told["filesystem"]["label"], "some label");
    }
}

#[test]
fn fat_is_told_as_other_tools_tell_it_and_shows_the_files_that_went_in() {
    use nix2image::fat::{FatType, Options, SectorSize};

    let tree = boot_tree();
    let expected = fat::expected(&tree);
    for sector_size in [SectorSize::Bytes512, SectorSize::Bytes4096] {
        for fat_type in [FatType::Fat12, FatType::Fat16, FatType::Fat32] {
            let options = Options {
                fat_type: Some(fat_type),
                sector_size,
                free_bytes: 300_000,
                ..fat::options()
            };
            let image = FatImage::of(&tree, &options);
            let json = inspected(&image.path());
            let told = &json["filesystem"];
            assert_eq!(told["type"], fat_type.to_string());
            assert_eq!(told["label"], "NIX2IMAGE");
            assert_eq!(told["identity"], "2178-694E");
            assert_eq!(told["bytes"], image.path().metadata().unwrap().len());
            assert_eq!(
                told["freeBytes"],
                free_by_mtools(&image.path()),
                "{fat_type}"
            );
            let (used, all) = clusters(&image.path());
            assert_eq!(told["clusters"], all, "{fat_type}");
            assert_eq!(told["freeClusters"], all - used, "{fat_type}");
            fat::assert_files(&shown_of_fat(&image.path()), &expected, "inspect");
        }
    }
}

/// The clusters that are in use, and all, as fsck.fat tells.
#[track_caller]
fn clusters(image: &Path) -> (u64, u64) {
    let said = run(Command::new("fsck.fat").arg("-n").arg(image));
    let counts = said.trim_end().rsplit(' ').nth(1).unwrap();
    let (used, all) = counts.split_once('/').unwrap();
    (used.parse().unwrap(), all.parse().unwrap())
}

#[track_caller]
fn shown_of_fat(image: &Path) -> fat::Files {
    fn add(there: &PartFiles<'_>, directory: &str, files: &mut fat::Files) {
        let list = there.list(format!("{directory}/").as_bytes());
        for entry in list.unwrap() {
            let name = String::from_utf8(entry.name).unwrap();
            let path = format!("{directory}/{name}");
            assert_eq!((entry.unix, entry.target), (None, None));
            let content = (entry.kind == EntryKind::File).then(|| {
                let mut bytes = Vec::new();
                there.copy(path.as_bytes(), &mut bytes).unwrap();
                assert_eq!(bytes.len() as u64, entry.size);
                bytes
            });
            if content.is_none() {
                add(there, &path, files);
            }
            files.insert(path, content);
        }
    }
    let image = opened(image);
    let mut found = fat::Files::new();
    add(&files(&image), "", &mut found);
    found
}

#[test]
fn tables_are_told_as_sfdisk_tells_them() {
    let sources = Sources::new();
    for (table, sector) in [(gpt(512), 512), (gpt(4096), 4096), (mbr(), 512)] {
        let kind = table["table"].clone();
        let disk = two_partitions(&sources, table);
        let derivation = built_disk(&sources, &disk, json!({}));
        let told = inspected(&derivation.out());
        let device = Loop::attach(&derivation.out(), sector);
        let (fields, partitions) = disk::table(device.path(), sector);
        assert_eq!(told["table"]["type"], kind);
        assert_eq!(told["table"]["sectorBytes"], sector);
        let lower = |value: &Value| value.as_str().unwrap().to_lowercase();
        assert_eq!(lower(&told["table"]["identity"]), lower(&fields["id"]));
        let is_gpt = kind == "gpt";
        let copies = if is_gpt { json!("both") } else { Value::Null };
        assert_eq!(told["table"]["copies"], copies);
        let found = told["partitions"].as_array().unwrap();
        assert_eq!(found.len(), partitions.len());
        for (found, partition) in found.iter().zip(&partitions) {
            assert_eq!(found["number"], partition.number);
            assert_eq!(found["start"], partition.start);
            assert_eq!(found["bytes"], partition.size);
            assert_eq!(found["name"], partition.field("name"));
            let (kind, uuid) = (lower(&found["type"]), partition.field("uuid"));
            if is_gpt {
                assert_eq!(kind, partition.field("type").to_lowercase());
                assert_eq!(lower(&found["identity"]), uuid.to_lowercase());
            } else {
                assert_eq!(kind, format!("0x{:0>2}", partition.field("type")));
                let identity = format!("2178694e-{:02}", partition.number);
                assert_eq!(found["identity"], identity);
            }
        }
        let names = found
            .iter()
            .map(|found| found["typeName"].as_str().unwrap());
        let first = if is_gpt { "esp" } else { "fat32" };
        assert_eq!(names.collect::<Vec<_>>(), [first, "linux"]);
        assert_eq!(found[0]["bootable"], false);
        assert_eq!(found[1]["bootable"], true);
        assert_eq!(found[0]["filesystem"]["label"], "ESP");
        assert_eq!(found[1]["filesystem"]["label"], "nixos");
    }
}

#[test]
fn ls_and_cat_look_where_the_store_is_or_where_they_are_told_to() {
    let sources = Sources::new();
    for container in ["raw", "qcow2-compressed", "vhd-dynamic"] {
        let disk = two_partitions(&sources, gpt(512));
        let derivation = built_disk(&sources, &disk, json!({ "container": container }));
        let image = derivation.out();
        let loader = Sources::path("loader.efi");
        assert_eq!(content(&image, &[&loader]), noise(120_000, 1));
        assert_eq!(
            content(&image, &["--partition", "2", &loader]),
            noise(120_000, 1)
        );
        let path = ["--partition", "1", "/efi/boot/bootx64.efi"];
        assert_eq!(content(&image, &path), noise(120_000, 1));
        let found = listed(&image, &["--partition", "1", "EFI/BOOT"]);
        let expected = json!({
            "type": "file", "name": "BOOTX64.EFI", "bytes": 120_000,
            "mode": null, "uid": null, "gid": null,
        });
        assert_eq!(found, [expected]);
        let names: Vec<Value> = listed(&image, &["/"])
            .iter()
            .map(|entry| entry["name"].clone())
            .collect();
        assert_eq!(names, ["lost+found", "nix", "nix-path-registration"]);
    }
}

#[test]
fn ls_has_a_line_for_each_entry_whatever_its_name_holds() {
    let image = Image::of(everything(), &tight());
    let text = |path: &str| {
        let mut command = nix2image("inspect", &image.path());
        run(command.args(["ls", path]))
    };
    let types = text("types");
    let lines: Vec<&str> = types.lines().collect();
    assert_eq!(lines.len(), listed(&image.path(), &["types"]).len());
    assert!(lines.contains(&"p 0600 0:0       0 fifo"), "{types}");
    assert!(
        lines.contains(&"l 0777 0:0       1 symlink 1 -> x"),
        "{types}"
    );
    assert!(
        lines.contains(&"- 0644 0:0 1048577 file 1048577"),
        "{types}"
    );
    assert!(lines.contains(&"c 0660 0:0       0 char 1:3"), "{types}");
    let names = text("/names/");
    assert!(names.contains("- 0644 0:0   2 \\xff\\xfe\n"), "{names}");
    assert!(names.contains(" new\\nline\n"), "{names}");
    assert!(names.contains(" \\x01\\x7f\n"), "{names}");
    assert!(names.contains(" ümläut\n"), "{names}");
    let root = text("/");
    assert!(
        root.lines().any(|line| line.starts_with("d 0755 0:0 ")),
        "{root}"
    );
}

#[test]
fn a_path_that_is_no_text_is_found() {
    let image = Image::of(everything(), &tight());
    let path = OsStr::from_bytes(b"/names/\xff\xfe");
    assert_eq!(content(&image.path(), &[path]), b"\xff\xfe");
    let found = listed(&image.path(), &[path]);
    assert_eq!(found[0]["name"], "\\xff\\xfe");
}

#[test]
fn symlinks_are_followed_by_cat_and_on_the_way() {
    let mut tree = tree_of([("file", file("content"))]);
    let deep = put(&mut tree, Tree::ROOT, "deep", directory());
    put(&mut tree, deep, "up", symlink("../file"));
    put(&mut tree, deep, "twice", symlink("/deep/./up"));
    put(&mut tree, Tree::ROOT, "short", symlink("deep"));
    put(&mut tree, Tree::ROOT, "beyond", symlink("../../../file"));
    put(&mut tree, Tree::ROOT, "round", symlink("round"));
    put(&mut tree, Tree::ROOT, "nowhere", symlink("missing"));
    let image = Image::of(tree, &tight());
    for path in [
        "deep/up",
        "/short/twice",
        "/beyond",
        "/short/../file",
        "//file",
    ] {
        assert_eq!(content(&image.path(), &[path]), b"content", "{path}");
    }
    let found = listed(&image.path(), &["/short"]);
    assert_eq!(
        (&found[0]["type"], &found[0]["target"]),
        (&json!("symlink"), &json!("deep"))
    );
    assert_eq!(listed(&image.path(), &["/short/"]).len(), 2);
    let refused = |path| refusal(nix2image("inspect", &image.path()).args(["cat", path]), 2);
    assert!(refused("/round").contains("/round leads through more than 40 symlinks"));
    assert!(refused("/nowhere").contains("there is no /missing in it"));
    assert!(refused("/deep").contains("/deep is a directory and has no content to show"));
    assert!(refused("/file/x").contains("there is no /file/x in it"));
}

#[test]
fn the_output_of_a_build_is_taken_for_the_image_in_it() {
    let sources = Sources::new();
    let disk = two_partitions(&sources, mbr());
    let image = json!({
        "output": "directory",
        "imageName": "sd-image/nixos.img.zst",
        "compression": "zstd",
        "outputFiles": [{ "name": "nix-support/hydra-build-products", "text": "file x @image@\n" }],
    });
    let derivation = built_disk(&sources, &disk, image);
    let told = inspected(&derivation.out());
    let image = derivation.out().join("sd-image/nixos.img.zst");
    assert_eq!(told["file"]["path"], image.to_str().unwrap());
    assert_eq!(told["container"]["format"], "zstd");
    let loader = Sources::path("loader.efi");
    assert_eq!(content(&derivation.out(), &[loader]), noise(120_000, 1));

    let copy = temporary::directory();
    let refused = || refusal(&mut nix2image("inspect", copy.path()), 2);
    fs::write(copy.path().join("README"), "no image").unwrap();
    assert!(
        refused()
            .ends_with("a directory without an image; name the file, or the output of a build")
    );
    fs::copy(&image, copy.path().join("b.img.zst")).unwrap();
    assert_eq!(inspected(copy.path())["container"]["format"], "zstd");
    fs::copy(&image, copy.path().join("a.img.zst")).unwrap();
    assert!(refused().ends_with("more than one image; name one of a.img.zst, b.img.zst"));
}

#[test]
fn who_reads_no_further_ends_cat_without_a_word() {
    let image = Image::of(tree_of([("noise", file(noise(3_000_000, 1)))]), &tight());
    let mut command = nix2image("inspect", &image.path());
    command
        .args(["cat", "noise"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = start(&mut command);
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty());
}

#[test]
fn a_person_is_told_the_same() {
    let sources = Sources::new();
    let disk = two_partitions(&sources, gpt(512));
    let derivation = built_disk(&sources, &disk, json!({ "container": "qcow2" }));
    let text = run(&mut nix2image("inspect", &derivation.out()));
    for line in [
        "container  qcow2, version 3, clusters of 64.0 KiB (65536 bytes)",
        "table      GPT deadbeef-0000-4000-8000-000000000001, sectors of 512 bytes",
        "partition  1 \"ESP\", esp c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        "           40.0 MiB (41943040 bytes) from byte 1048576 on",
        "fat16      label \"ESP\", serial number 2178-694E",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line:?} in {text}"
        );
    }
    let words = [
        "ext4       label \"nixos\", UUID ",
        " inodes, ",
        "features has_journal ",
    ];
    for words in words {
        assert!(text.contains(words), "{words:?} in {text}");
    }
}
