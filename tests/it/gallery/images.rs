//! Images that `inspect` cannot read, and what is not in them.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use serde_json::{Value, json};

use super::contents::graph;
use super::{Stage, Subject};
use crate::support::command::run;

pub(super) fn subjects() -> Vec<Subject> {
    vec![finding(), tables(), containers(), filesystems(), files()]
}

/// Where the program sees the image of a case.
const IMAGE: &str = "/mnt/image";

pub(super) const MIB: u64 = 1 << 20;

/// Lets the program build an image with these attributes, of these store paths.
pub(super) fn build(stage: &Stage, attributes: Value, paths: &[&str]) {
    let graphs = paths.iter().map(|path| graph(path)[0].clone());
    let graphs: Vec<_> = graphs.collect();
    run(&mut if graphs.is_empty() {
        stage.image(attributes)
    } else {
        stage.image_of(&Value::Array(graphs), attributes)
    });
    fs::rename(stage.seen(Stage::OUT), stage.seen(IMAGE)).unwrap();
}

/// A small ext4 with some files.
pub(super) fn ext4(stage: &Stage) {
    let files = stage.directory(&Stage::path("files"));
    stage.write(&format!("{files}/text"), "some text\n".repeat(10_000));
    stage.link(&format!("{files}/loop"), "loop");
    let contents = json!([{ "source": files, "target": "/files" }]);
    build(
        stage,
        json!({ "contents": contents, "ext4": SMALL.clone() }),
        &[],
    );
}

/// Attributes of the smallest filesystem.
pub(super) static SMALL: std::sync::LazyLock<Value> =
    std::sync::LazyLock::new(|| json!({ "freeBytes": 0, "journalSize": 4 << 20 }));

/// A disk with a FAT filesystem, a root if it is wanted, and some swap.
pub(super) fn disk(stage: &Stage, table: &Value, with_root: bool) {
    let notes = stage.put("notes", "some notes\n".repeat(1000));
    let mut swap = vec![0; 1 << 20];
    swap[4086..4096].copy_from_slice(b"SWAPSPACE2");
    let swap = stage.put("swap", swap);
    let contents = json!([{ "source": notes, "target": "/notes.txt" }]);
    let fat = json!({ "type": "fat32", "size": 8 * MIB, "content": {
        "fat": { "label": "FIRMWARE", "contents": contents } } });
    let mut partitions = vec![
        fat.clone(),
        json!({
        "type": "linux", "content": { "file": swap } }),
    ];
    partitions.push(if with_root {
        json!({ "type": "linux", "content": { "ext4": SMALL.clone() } })
    } else {
        fat
    });
    let mut disk = table.clone();
    disk["partitions"] = json!(partitions);
    build(stage, json!({ "kind": "disk", "disk": disk }), &[]);
}

pub(super) fn mbr() -> Value {
    json!({ "table": "mbr", "id": "0x2178694e" })
}

fn gpt() -> Value {
    json!({ "table": "gpt", "guid": "97fd5997-d90b-4aa3-8d16-c1723aea73c1" })
}

fn open(stage: &Stage) -> fs::File {
    let image = OpenOptions::new()
        .read(true)
        .write(true)
        .open(stage.seen(IMAGE));
    image.unwrap()
}

/// Writes these bytes into the image.
pub(super) fn change(stage: &Stage, offset: u64, bytes: &[u8]) {
    open(stage).write_all_at(bytes, offset).unwrap();
}

fn length(stage: &Stage) -> u64 {
    stage.seen(IMAGE).metadata().unwrap().len()
}

/// Cuts the image off.
fn cut(stage: &Stage, length: u64) {
    open(stage).set_len(length).unwrap();
}

/// Changes the ext4 in the image by debugfs.
pub(super) fn debugfs(stage: &Stage, requests: &str) {
    let script = stage.write("/mnt/script", requests);
    let mut debugfs = Command::new("debugfs");
    debugfs.args(["-w", "-f"]).arg(stage.seen(&script));
    run(debugfs.arg(stage.seen(IMAGE)));
}

fn inspect(stage: &Stage) -> Command {
    stage.run("inspect /mnt/image")
}

fn finding() -> Subject {
    /// A file with these bytes.
    fn of(bytes: &'static [u8]) -> impl Fn(&Stage) -> Command {
        move |stage| {
            stage.write(IMAGE, bytes);
            inspect(stage)
        }
    }
    Subject::new("Files that `inspect` is given", "")
        .commands([("It is not there", "inspect /mnt/image")])
        .case("It is empty", of(b""))
        .case("It is text", of(&[b'x'; 5000]))
        .case("It is compressed with gzip", |stage| {
            stage.write(IMAGE, [[0x1f, 0x8b].as_slice(), &[1; 600]].concat());
            inspect(stage)
        })
        .case("It is a tar archive", |stage| {
            build(stage, json!({ "kind": "tar" }), &[]);
            inspect(stage)
        })
        .case("It is a FIFO", |stage| {
            run(Command::new("mkfifo").arg(stage.seen(IMAGE)));
            inspect(stage)
        })
        .case("It is a directory without an image", |stage| {
            stage.write("/mnt/image/notes", "no image");
            inspect(stage)
        })
        .case("It is a directory with two images", |stage| {
            ext4(stage);
            fs::rename(stage.seen(IMAGE), stage.seen("/mnt/one")).unwrap();
            stage.directory(IMAGE);
            for name in ["one", "two"] {
                fs::copy(stage.seen("/mnt/one"), stage.seen(IMAGE).join(name)).unwrap();
            }
            inspect(stage)
        })
        .case("It is a directory with too many files", |stage| {
            stage.directory(IMAGE);
            for number in 0..=1000 {
                fs::write(stage.seen(IMAGE).join(number.to_string()), "").unwrap();
            }
            inspect(stage)
        })
        .case("Nobody reads what it says", |stage| {
            ext4(stage);
            stage.first("exec >/dev/full");
            let command = inspect(stage);
            stage.show("nix2image inspect /mnt/image >/dev/full");
            command
        })
}

fn tables() -> Subject {
    Subject::new(
        "Partitions",
        "Tables that are damaged, and partitions that are not there.",
    )
    .case("A disk with a GPT that is cut off", |stage| {
        disk(stage, &gpt(), true);
        cut(stage, length(stage) - 2 * MIB);
        inspect(stage)
    })
    .case("A disk with an MBR that is cut off", |stage| {
        disk(stage, &mbr(), true);
        cut(stage, length(stage) - 2 * MIB);
        inspect(stage)
    })
    .case("A GPT of which both copies are damaged", |stage| {
        disk(stage, &gpt(), true);
        change(stage, 512 + 56, &[0xff]);
        change(stage, length(stage) - 512 + 56, &[0xff]);
        inspect(stage)
    })
    .case("A partition that ends before it begins", |stage| {
        disk(stage, &gpt(), true);
        reverse(stage);
        inspect(stage)
    })
    .case("A partition that is not there", |stage| {
        disk(stage, &mbr(), true);
        stage.run("inspect /mnt/image ls --partition 4 /")
    })
    .case("A partition of an image that has none", |stage| {
        ext4(stage);
        stage.run("inspect /mnt/image ls --partition 1 /")
    })
    .case("A partition with swap", |stage| {
        disk(stage, &mbr(), true);
        stage.run("inspect /mnt/image ls --partition 2 /")
    })
    .case("Two filesystems, and none of them has a store", |stage| {
        disk(stage, &mbr(), false);
        stage.run("inspect /mnt/image ls /")
    })
    .case("No filesystem that is known", |stage| {
        let mut swap = vec![0; 1 << 20];
        swap[4086..4096].copy_from_slice(b"SWAPSPACE2");
        stage.write(IMAGE, swap);
        stage.run("inspect /mnt/image ls /")
    })
}

/// Lets the first partition of a GPT end before it begins, with checksums that are right.
fn reverse(stage: &Stage) {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let image = open(stage);
    let (mut header, mut entries) = ([0; 512], vec![0; 128 * 128]);
    image.read_exact_at(&mut header, 512).unwrap();
    image.read_exact_at(&mut entries, 1024).unwrap();
    entries[40..48].copy_from_slice(&1_u64.to_le_bytes());
    header[88..92].copy_from_slice(&crc.checksum(&entries).to_le_bytes());
    header[16..20].fill(0);
    let sum = crc.checksum(&header[..92]);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    image.write_all_at(&header, 512).unwrap();
    image.write_all_at(&entries, 1024).unwrap();
}

fn containers() -> Subject {
    /// A small filesystem in this container.
    fn contained(stage: &Stage, container: &str) {
        build(
            stage,
            json!({ "container": container, "ext4": SMALL.clone() }),
            &[],
        );
    }
    Subject::new("Images in containers", "")
        .case("A compressed image that is cut off", |stage| {
            build(
                stage,
                json!({ "compression": "zstd", "ext4": SMALL.clone() }),
                &[],
            );
            cut(stage, length(stage) / 2);
            inspect(stage)
        })
        .case(
            "A compressed image, and no directory for temporary files",
            |stage| {
                build(
                    stage,
                    json!({ "compression": "zstd", "ext4": SMALL.clone() }),
                    &[],
                );
                let mut command = inspect(stage);
                stage.show("TMPDIR=/does/not/exist nix2image inspect /mnt/image");
                command.env("TMPDIR", "/does/not/exist");
                command
            },
        )
        .case("A qcow2 image that is cut off", |stage| {
            contained(stage, "qcow2");
            cut(stage, length(stage) / 2);
            inspect(stage)
        })
        .case("A qcow2 image with a backing file", |stage| {
            contained(stage, "qcow2");
            change(stage, 8, &512_u64.to_be_bytes());
            inspect(stage)
        })
        .case(
            "A qcow2 image whose clusters have a size that none has",
            |stage| {
                contained(stage, "qcow2");
                change(stage, 20, &40_u32.to_be_bytes());
                inspect(stage)
            },
        )
        .case("A qcow2 image whose first cluster is damaged", |stage| {
            contained(stage, "qcow2-compressed");
            damage_cluster(stage, 0);
            inspect(stage)
        })
        .case(
            "A qcow2 image with a cluster of a filesystem damaged",
            |stage| {
                let partitions = json!([{ "type": "linux", "content": { "ext4": SMALL.clone() } }]);
                let mut disk = mbr();
                disk["partitions"] = partitions;
                build(
                    stage,
                    json!({ "kind": "disk", "disk": disk, "container": "qcow2-compressed" }),
                    &[],
                );
                damage_cluster(stage, MIB >> 16);
                inspect(stage)
            },
        )
        .case("A dynamic VHD image that is cut off", |stage| {
            contained(stage, "vhd-dynamic");
            cut(stage, length(stage) - 512);
            inspect(stage)
        })
        .case("A VHD image whose footer is damaged", |stage| {
            contained(stage, "vhd-fixed");
            change(stage, length(stage) - 512 + 60, &[7]);
            inspect(stage)
        })
}

/// Lets a cluster of a qcow2 image be what no deflate is: the image's header.
fn damage_cluster(stage: &Stage, number: u64) {
    let image = open(stage);
    let at = |offset: u64| {
        let mut bytes = [0; 8];
        image.read_exact_at(&mut bytes, offset).unwrap();
        u64::from_be_bytes(bytes)
    };
    let l1_table = at(40);
    let l2_table = at(l1_table) & 0x00ff_ffff_ffff_fe00;
    change(stage, l2_table + 8 * number, &(1_u64 << 62).to_be_bytes());
}

fn filesystems() -> Subject {
    Subject::new("Filesystems that are damaged", "")
        .case("An ext4 filesystem that is cut off", |stage| {
            ext4(stage);
            cut(stage, length(stage) / 2);
            inspect(stage)
        })
        .case("A field of the superblock that cannot be", |stage| {
            ext4(stage);
            change(stage, 1024 + 24, &[9]);
            inspect(stage)
        })
        .case("A superblock with another checksum", |stage| {
            ext4(stage);
            change(stage, 1024 + 0x78, b"a label");
            stage.run("inspect /mnt/image ls /")
        })
        .case("A directory that is larger than its filesystem", |stage| {
            ext4(stage);
            debugfs(stage, "set_inode_field /files size 0x100000000\n");
            stage.run("inspect /mnt/image ls /files")
        })
        .case(
            "A file with more bytes than its map of blocks leads to",
            |stage| {
                ext4(stage);
                let size = "set_inode_field /files size 0x100000000000000";
                debugfs(stage, &format!("set_inode_field /files flags 0\n{size}\n"));
                stage.run("inspect /mnt/image ls /")
            },
        )
        .case("An index that is larger than its block", |stage| {
            let files = stage.directory(&Stage::path("files"));
            for number in 0..200 {
                stage.write(&format!("{files}/{number:0>40}"), "");
            }
            let contents = json!([{ "source": files, "target": "/files" }]);
            build(
                stage,
                json!({ "contents": contents, "ext4": SMALL.clone() }),
                &[],
            );
            let root = first_block(stage, "/files");
            change(stage, root * BLOCK + 0x22, &[0xff, 0xff]);
            stage.run("inspect /mnt/image ls /")
        })
        .case("A map of blocks that leads to itself", |stage| {
            ext4(stage);
            lead_astray(stage);
            stage.run("inspect /mnt/image ls /")
        })
        .case("A FAT filesystem whose directory is damaged", |stage| {
            disk(stage, &mbr(), false);
            // The file begins at a cluster that there is not.
            let image = open(stage);
            let mut bytes = vec![0; usize::try_from(8 * MIB).unwrap()];
            image.read_exact_at(&mut bytes, MIB).unwrap();
            let name = b"NOTES   TXT";
            let at = bytes.windows(11).position(|window| window == name).unwrap();
            change(stage, MIB + at as u64 + 26, &[0xf0, 0xff]);
            stage.run("inspect /mnt/image cat --partition 1 /notes.txt")
        })
}

/// Bytes of a block.
const BLOCK: u64 = 4096;

/// The block in which the content of `path` begins.
fn first_block(stage: &Stage, path: &str) -> u64 {
    let mut debugfs = Command::new("debugfs");
    debugfs.arg("-R").arg(format!("blocks {path}"));
    let said = run(debugfs.arg(stage.seen(IMAGE)));
    let first = said.split_whitespace().next().unwrap();
    first.parse().unwrap()
}

/// Gives a file a tree of extents in which all entries of a node lead to one node.
fn lead_astray(stage: &Stage) {
    const MAGIC: u64 = 0xf30a;
    let first = first_block(stage, "/files/text");
    // The root is in the inode, by words: entries and magic, depth and room, a generation.
    let mut root = vec![4 << 16 | MAGIC, 5 << 16 | 4, 0];
    root.extend([0, first, 0].repeat(4));
    let set = |(number, word): (usize, &u64)| {
        format!("set_inode_field /files/text block[{number}] {word}\n")
    };
    debugfs(stage, &root.iter().enumerate().map(set).collect::<String>());
    let nodes = (first..).zip((0..5_u16).rev());
    for (block, depth) in nodes {
        let entries = if depth == 0 { 0 } else { 340 };
        let header = [0xf30a, entries, 340, depth, 0, 0].map(u16::to_le_bytes);
        let next = u32::try_from(block + 1).unwrap().to_le_bytes();
        let entry = [[0; 4], next, [0; 4]].concat();
        let node = [header.concat(), entry.repeat(entries.into())].concat();
        change(stage, block * BLOCK, &node);
    }
}

fn files() -> Subject {
    Subject::new(
        "Files in images",
        "`inspect IMAGE ls` and `inspect IMAGE cat`.",
    )
    .case("A file that is not there", |stage| {
        ext4(stage);
        stage.run("inspect /mnt/image cat /etc/passwd")
    })
    .case("The content of a directory", |stage| {
        ext4(stage);
        stage.run("inspect /mnt/image cat /files")
    })
    .case("A symlink to itself", |stage| {
        ext4(stage);
        stage.run("inspect /mnt/image cat /files/loop")
    })
    .case("A directory that has one name twice", |stage| {
        let files = stage.directory(&Stage::path("files"));
        for name in ["same-one", "same-two"] {
            stage.write(&format!("{files}/{name}"), "");
        }
        let contents = json!([{ "source": files, "target": "/files" }]);
        // Without checksums, which would tell.
        let ext4 = json!({ "profile": "legacy-uboot", "freeBytes": 0 });
        build(stage, json!({ "contents": contents, "ext4": ext4 }), &[]);
        let image = fs::read(stage.seen(IMAGE)).unwrap();
        let name = b"same-two";
        let at = image.windows(name.len()).position(|window| window == name);
        change(stage, at.unwrap() as u64, b"same-one");
        stage.run("inspect /mnt/image ls /files")
    })
    .case("A file whose inode is damaged", |stage| {
        ext4(stage);
        debugfs(stage, "set_inode_field /files/text checksum 1\n");
        stage.run("inspect /mnt/image cat /files/text")
    })
    .case("A file whose content is beyond the end", |stage| {
        ext4(stage);
        debugfs(stage, "set_inode_field /files/text block[5] 0x7fffffff\n");
        stage.run("inspect /mnt/image cat /files/text")
    })
    .case("There is no room for what is in it", |stage| {
        ext4(stage);
        stage.first("exec >/dev/full");
        let command = stage.run("inspect /mnt/image cat /files/text");
        stage.show("nix2image inspect /mnt/image cat /files/text >/dev/full");
        command
    })
    .case("`--json` for the content of a file", |stage| {
        ext4(stage);
        stage.run("inspect /mnt/image --json cat /files/text")
    })
}
