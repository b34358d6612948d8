//! Disks that cannot be: tables, partitions, GRUB for a BIOS.

#![expect(
    clippy::needless_pass_by_value,
    reason = "attributes read best where they are given"
)]

use serde_json::{Value, json};

use super::{Stage, Subject};

pub(super) fn subjects() -> Vec<Subject> {
    vec![tables(), places(), grub(), fat(), fat_names(), containers()]
}

const GUID: &str = "97fd5997-d90b-4aa3-8d16-c1723aea73c1";
const MIB: u64 = 1 << 20;

fn disk(disk: Value) -> Value {
    json!({ "kind": "disk", "disk": disk })
}

/// A disk with an MBR and these partitions.
fn mbr(partitions: Value) -> Value {
    disk(json!({ "table": "mbr", "id": "0x2178694e", "partitions": partitions }))
}

/// A disk with a GPT and these partitions.
fn gpt(partitions: Value) -> Value {
    disk(json!({ "table": "gpt", "guid": GUID, "partitions": partitions }))
}

fn tables() -> Subject {
    let linux = json!({ "type": "linux", "size": MIB });
    let with = |name: &str, value: Value| {
        let mut partition = linux.clone();
        partition[name] = value;
        gpt(json!([partition]))
    };
    Subject::new("Tables of partitions", "The attributes under `disk`.").images([
        ("An MBR without an id", disk(json!({ "table": "mbr" }))),
        ("A GPT without a GUID", disk(json!({ "table": "gpt" }))),
        (
            "A GUID for an MBR",
            disk(json!({ "table": "mbr", "id": "0x1", "guid": GUID })),
        ),
        (
            "Sectors of 4096 bytes with an MBR",
            disk(json!({
            "table": "mbr", "id": "0x1", "sectorSize": 4096 })),
        ),
        (
            "Sectors of another size",
            disk(json!({
            "table": "gpt", "guid": GUID, "sectorSize": 2048 })),
        ),
        (
            "An id that is none",
            disk(json!({ "table": "mbr", "id": "2178694e" })),
        ),
        (
            "A GUID that is none",
            disk(json!({ "table": "gpt", "guid": "97fd5997" })),
        ),
        ("Another table", disk(json!({ "table": "efi" }))),
        (
            "Five partitions in an MBR",
            mbr(json!([linux, linux, linux, linux, linux])),
        ),
        (
            "Two partitions without a table",
            disk(json!({
            "table": "none", "partitions": [{ "size": MIB }, { "size": MIB }] })),
        ),
        ("A partition without a type", mbr(json!([{ "size": MIB }]))),
        ("A type that there is not", with("type", json!("linus"))),
        ("A number as the type in a GPT", with("type", json!("0x83"))),
        (
            "A type that an MBR does not have",
            mbr(json!([
            { "type": "bios-boot", "size": MIB } ])),
        ),
        (
            "A name that is too long",
            with("name", json!("a name of more than thirty-six letters")),
        ),
        (
            "An attribute that there is not",
            with("attributes", json!(["read-only"])),
        ),
        (
            "An attribute that is a bit of the table's own",
            with("attributes", json!([3])),
        ),
        (
            "A size that is neither a number nor a word for one",
            with("size", json!("all")),
        ),
        ("A negative size", with("size", json!(-1))),
        (
            "Two kinds of content",
            with("content", json!({ "ext4": {}, "fat": {} })),
        ),
        ("No kind of content", with("content", json!({}))),
        (
            "Two filesystems for the closure",
            gpt(json!([
            { "type": "linux", "content": { "ext4": {} } },
            { "type": "linux", "content": { "ext4": {} } } ])),
        ),
    ])
}

fn places() -> Subject {
    let of_size = |size: u64, partitions: Value| {
        let mut wanted = mbr(partitions);
        wanted["disk"]["size"] = json!(size);
        wanted
    };
    let linux = |more: Value| {
        let mut partition = json!({ "type": "linux" });
        let fields = more.as_object().unwrap().clone();
        partition.as_object_mut().unwrap().extend(fields);
        partition
    };
    Subject::new(
        "Where partitions stand",
        "Numbers are bytes from the start of the disk. Partitions count from 1, as they do in the table:\n`partition 1` is `disk.partitions[0]`. Nothing is written before all have a place.",
    )
    .images([
        (
            "A size of half a sector",
            mbr(json!([linux(json!({ "size": 1000 }))])),
        ),
        (
            "A start within a sector",
            mbr(json!([linux(json!({ "start": MIB + 1, "size": MIB }))])),
        ),
        ("Neither content nor a size", mbr(json!([linux(json!({}))]))),
        (
            "The rest of a disk without a size",
            mbr(json!([linux(json!({ "size": "rest" }))])),
        ),
        (
            "A partition behind the one that takes the rest",
            of_size(
                1 << 30,
                json!([
                    linux(json!({ "name": "root", "size": "rest" })),
                    linux(json!({ "name": "data", "size": MIB }))
                ]),
            ),
        ),
        (
            "Content that is larger than its partition",
            mbr(json!([linux(
                json!({ "name": "root", "size": MIB, "content": { "ext4": {} } })
            )])),
        ),
        (
            "A disk that is too small",
            of_size(2 * MIB, json!([linux(json!({ "size": 2 * MIB }))])),
        ),
        (
            "No rest of the disk is left",
            of_size(MIB, json!([linux(json!({ "size": "rest" }))])),
        ),
        (
            "Two partitions overlap",
            mbr(json!([
                linux(json!({ "start": 4 * MIB, "size": 4 * MIB })),
                linux(json!({ "start": 6 * MIB, "size": 4 * MIB }))
            ])),
        ),
        (
            "A partition over the table",
            mbr(json!([linux(json!({ "start": 0, "size": MIB }))])),
        ),
        (
            "More than 2 TiB in an MBR",
            mbr(json!([linux(json!({ "size": 3_u64 << 40 }))])),
        ),
        (
            "A partition that ends beyond 8 EiB",
            gpt(json!([linux(json!({ "size": (1_u64 << 63) - 512 }))])),
        ),
    ])
    .case("An image that is larger than its partition", |stage| {
        let file = stage.put("part.img", vec![1; 2 << 20]);
        let content = json!({ "file": file });
        stage.image(mbr(json!([
            { "name": "data", "type": "linux", "size": MIB, "content": content } ])))
    })
    .case("A file beside the partitions overlaps one", move |stage| {
        let loader = stage.put("u-boot.bin", vec![1; 2 << 20]);
        let mut wanted = mbr(json!([linux(json!({ "size": MIB }))]));
        wanted["disk"]["raw"] = json!([{ "source": loader, "offset": 8192 }]);
        stage.image(wanted)
    })
    .case("A file beside the partitions is a directory", |stage| {
        let source = stage.directory(&Stage::path("u-boot"));
        let mut wanted = mbr(json!([]));
        wanted["disk"]["raw"] = json!([{ "source": source, "offset": 8192 }]);
        stage.image(wanted)
    })
}

/// A `boot.img` that is one for us.
fn boot_img() -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[0x66] = 0xeb;
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

fn grub() -> Subject {
    fn of(stage: &Stage, boot: &[u8], core: &[u8], mut wanted: Value) -> std::process::Command {
        let boot = stage.put("grub/boot.img", boot);
        let core = stage.put("core.img", core);
        wanted["disk"]["grub"] = json!({ "boot": boot, "core": core });
        stage.image(wanted)
    }
    let core = || vec![0; 1024];
    Subject::new("GRUB for a BIOS", "The attribute `disk.grub`.")
        .case("`boot` is another file", move |stage| {
            of(stage, b"menuentry", &core(), mbr(json!([])))
        })
        .case("`boot` is no boot sector", move |stage| {
            of(stage, &[0; 512], &core(), mbr(json!([])))
        })
        .case(
            "`boot` is the boot sector of another loader",
            move |stage| {
                let mut boot = boot_img();
                boot[0x66] = 0;
                of(stage, &boot, &core(), mbr(json!([])))
            },
        )
        .case("`core` is too short", |stage| {
            of(stage, &boot_img(), b"core", mbr(json!([])))
        })
        .case("`core` is too long", |stage| {
            of(stage, &boot_img(), &vec![0; 33 << 20], mbr(json!([])))
        })
        .case("A disk without a table", move |stage| {
            of(
                stage,
                &boot_img(),
                &core(),
                disk(json!({ "table": "none" })),
            )
        })
        .case(
            "A GPT without a partition for the core image",
            move |stage| of(stage, &boot_img(), &core(), gpt(json!([]))),
        )
        .case(
            "A partition that is too small for the core image",
            |stage| {
                let bios = json!({ "name": "bios", "type": "bios-boot", "size": 65536 });
                of(stage, &boot_img(), &vec![0; 1 << 17], gpt(json!([bios])))
            },
        )
        .case(
            "The first partition stands where the core image has to",
            |stage| {
                let linux = json!({ "type": "linux", "start": 4096, "size": MIB });
                of(stage, &boot_img(), &vec![0; 8192], mbr(json!([linux])))
            },
        )
}

/// A disk whose partition has this FAT filesystem.
fn with_fat(fat: Value, partition: Value) -> Value {
    let mut partition = partition;
    partition["type"] = json!("esp");
    partition["content"] = json!({ "fat": fat });
    mbr(json!([partition]))
}

fn fat() -> Subject {
    let of = |fat: Value| with_fat(fat, json!({}));
    let sized = |size: u64, fat: Value| with_fat(fat, json!({ "name": "ESP", "size": size }));
    Subject::new(
        "A FAT filesystem",
        "The attributes under `content.fat` of a partition.",
    )
    .images([
        ("A label with a star", of(json!({ "label": "ESP*" }))),
        (
            "A label that is too long",
            of(json!({ "label": "THE ESP OF MY DISK" })),
        ),
        ("A volume id that is none", of(json!({ "volumeId": "ESP" }))),
        ("Another type", of(json!({ "type": "fat64" }))),
        (
            "Clusters of no power of two",
            of(json!({ "clusterSize": 3000 })),
        ),
        ("A time before FAT began", of(json!({ "time": 1 }))),
        (
            "A partition that is too small",
            sized(MIB, json!({ "freeBytes": 2 * MIB })),
        ),
        (
            "FAT32 on a partition of 1 MiB",
            sized(MIB, json!({ "type": "fat32" })),
        ),
        (
            "More than FAT12 holds",
            of(json!({
            "type": "fat12", "clusterSize": 512, "freeBytes": 8 * MIB })),
        ),
        (
            "Clusters that are smaller than sectors",
            disk(json!({
            "table": "gpt", "guid": GUID, "sectorSize": 4096, "partitions": [{
                "type": "esp", "content": { "fat": { "clusterSize": 512 } } }] })),
        ),
    ])
    .case("Too many files at the top of FAT12", |stage| {
        let files = stage.directory(&Stage::path("files"));
        for number in 0..600 {
            stage.write(&format!("{files}/file {number}"), "");
        }
        let contents = json!([{ "source": files, "target": "/" }]);
        stage.image(with_fat(
            json!({ "type": "fat12", "contents": contents }),
            json!({}),
        ))
    })
}

fn fat_names() -> Subject {
    /// A FAT filesystem with files of these names.
    fn of(stage: &Stage, names: &[&str]) -> std::process::Command {
        let files = stage.directory(&Stage::path("files"));
        for name in names {
            stage.write(&format!("{files}/{name}"), "");
        }
        image(stage, &files)
    }
    fn image(stage: &Stage, source: &str) -> std::process::Command {
        let contents = json!([{ "source": source, "target": "/" }]);
        stage.image(with_fat(json!({ "contents": contents }), json!({})))
    }
    Subject::new("Names and files that FAT does not have", "")
        .case("A symlink", |stage| {
            let files = stage.directory(&Stage::path("files"));
            stage.link(&format!("{files}/link"), "file");
            image(stage, &files)
        })
        .case("A name with a colon", |stage| of(stage, &["a:b"]))
        .case("A name that ends with a dot", |stage| {
            of(stage, &["notes."])
        })
        .case("Two names that differ only in case", |stage| {
            of(stage, &["README", "readme"])
        })
        .case("A name that is not UTF-8", |stage| {
            use std::os::unix::ffi::OsStrExt as _;
            let files = stage.directory(&Stage::path("files"));
            let name = std::ffi::OsStr::from_bytes(b"gr\xfc\xdfe");
            std::fs::write(stage.seen(&files).join(name), "").unwrap();
            image(stage, &files)
        })
        .case("A file of 4 GiB", |stage| {
            let file = stage.put("files/large", "");
            let opened = std::fs::OpenOptions::new()
                .write(true)
                .open(stage.seen(&file));
            opened.unwrap().set_len(1 << 32).unwrap();
            image(stage, &Stage::path("files"))
        })
        .case("A file in place of the top", |stage| {
            let file = stage.put("file", "");
            image(stage, &file)
        })
}

fn containers() -> Subject {
    let mut vhd = mbr(json!([{ "type": "linux", "size": 1 << 30 }]));
    vhd["container"] = json!("vhd-dynamic");
    vhd["disk"]["size"] = json!(2041_u64 << 30);
    Subject::new("Containers", "The attribute `container`.").images([
        ("A disk that is too large for a VHD", vhd),
        (
            "A size of no whole sectors",
            json!({ "container": "qcow2", "ext4": { "size": 40_000_001 } }),
        ),
    ])
}
