//! Images that the tests of `inspect` look into.

use nix2image::ext4::{self, Options};
use nix2image::image::{Container, Pieces, VhdForm};
use nix2image::tree::Tree;
use serde_json::{Value, json};

use super::command::run;
use super::direct::Direct;
use super::disk::Sources;
use super::nix::PathInfo;
use super::readers::give_times_that_ext4_view_reads;
use super::sample::{directory, everything, file, noise, put, tight, tree_of};

pub(crate) const MIB: u64 = 1 << 20;
const GUID: &str = "DEADBEEF-0000-4000-8000-000000000001";

/// Each container, with what JSON has of it, and as QEMU names its format.
pub(crate) fn containers() -> [(Container, Value, &'static str); 6] {
    let identity = "6e697832-696d-6167-6520-74657374732e";
    let qcow2 = |compressed: bool| {
        json!({
            "format": "qcow2", "formatVersion": 3, "clusterBytes": 65536, "compressed": compressed,
        })
    };
    let vhd = |form| Container::Vhd { form };
    [
        (Container::Raw, json!({ "format": "raw" }), "raw"),
        (
            Container::Zstd { level: 3 },
            json!({ "format": "zstd" }),
            "",
        ),
        (
            Container::Qcow2 { compressed: false },
            qcow2(false),
            "qcow2",
        ),
        (Container::Qcow2 { compressed: true }, qcow2(true), "qcow2"),
        (
            vhd(VhdForm::Fixed),
            json!({ "format": "vhd-fixed", "identity": identity }),
            "vpc",
        ),
        (
            vhd(VhdForm::Dynamic),
            json!({ "format": "vhd-dynamic", "identity": identity, "blockBytes": 2 << 20 }),
            "vpc",
        ),
    ]
}

#[track_caller]
pub(crate) fn pieces(tree: Tree, options: &Options) -> Pieces {
    ext4::lay_out(tree, options).unwrap()
}

/// A tree with something of everything, and with files of many clusters.
pub(crate) fn sample() -> Tree {
    let mut tree = everything();
    give_times_that_ext4_view_reads(&mut tree);
    put(&mut tree, Tree::ROOT, "noise", file(noise(5_000_000, 3)));
    let lines: Vec<String> = (0..300_000).map(|line| format!("line {line}")).collect();
    put(&mut tree, Tree::ROOT, "text", file(lines.join("\n")));
    tree
}

/// With room that is a hole.
pub(crate) fn spacious() -> Options {
    Options {
        size: Some(3 << 30),
        ..tight()
    }
}

/// Some files of a boot partition.
pub(crate) fn boot_tree() -> Tree {
    let mut tree = tree_of([
        ("config.txt", file("arm_64bit=1\n")),
        ("a long name with spaces.dtb", file(noise(70_000, 5))),
        ("EMPTY", file("")),
    ]);
    let overlays = put(&mut tree, Tree::ROOT, "overlays", directory());
    for number in 0..300 {
        let name = format!("overlay-{number}.dtbo");
        put(&mut tree, overlays, name, file(noise(number, 1)));
    }
    tree
}

/// A disk that the builder made of the attributes `disk`, with the sources as its closure.
#[track_caller]
pub(crate) fn built_disk(sources: &Sources, disk: &Value, mut image: Value) -> Direct {
    image["kind"] = json!("disk");
    image["disk"] = disk.clone();
    let path = Sources::path("");
    let info = PathInfo {
        path: path.trim_end_matches('/').to_owned(),
        nar_hash: "0".repeat(64),
        nar_size: 1,
        references: Vec::new(),
    };
    let derivation = Direct::new(image, &[info]);
    run(&mut derivation.builder_with_store(sources.store()));
    derivation
}

/// A disk with firmware in FAT and a root in ext4, as SD cards and EC2's disks have it.
pub(crate) fn two_partitions(sources: &Sources, table: Value) -> Value {
    let loader = sources.put("loader.efi", noise(120_000, 1));
    let fat = json!({
        "label": "ESP",
        "volumeId": "0x2178694e",
        "contents": [{ "source": loader, "target": "/EFI/BOOT/BOOTX64.EFI" }],
    });
    let mut disk = table;
    let is_mbr = disk["table"] == "mbr";
    disk["partitions"] = json!([
        { "type": if is_mbr { "0x0c" } else { "esp" }, "size": 40 * MIB, "content": { "fat": fat } },
        {
            "type": "linux", "bootable": true,
            "content": { "ext4": { "label": "nixos", "freeBytes": 0 } },
        },
    ]);
    if !is_mbr {
        disk["partitions"][0]["name"] = json!("ESP");
        disk["partitions"][1]["name"] = json!("a \"root\"");
    }
    disk
}

pub(crate) fn gpt(sector: u64) -> Value {
    json!({ "table": "gpt", "guid": GUID, "sectorSize": sector })
}

pub(crate) fn mbr() -> Value {
    json!({ "table": "mbr", "id": "0x2178694e" })
}
