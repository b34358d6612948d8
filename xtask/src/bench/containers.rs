//! A closure in each container, beside the program that would make it of the raw image.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::forms::PLAIN;
use super::peers::{Peer, Role, Tools, nix2image, script};
use super::rows::{Row, Source};
use crate::workspace::Workspace;

const ZSTD: &str = "zstd";
const QCOW2: &str = "qcow2";
const COMPRESSED_QCOW2: &str = "qcow2-compressed";
const FIXED_VHD: &str = "vhd-fixed";
const DYNAMIC_VHD: &str = "vhd-dynamic";
const DISK: &str = "disk";

/// Who is measured, as the claims about them name them.
pub(super) mod names {
    pub(in crate::bench) const RAW: &str = "**nix2image**, raw";
    pub(in crate::bench) const ZSTD: &str = "nix2image, `compression = \"zstd\"`";
    pub(in crate::bench) const QCOW2: &str = "nix2image, `container = \"qcow2\"`";
    pub(in crate::bench) const COMPRESSED_QCOW2: &str =
        "nix2image, `container = \"qcow2-compressed\"`";
    pub(in crate::bench) const FIXED_VHD: &str = "nix2image, `container = \"vhd-fixed\"`";
    pub(in crate::bench) const DYNAMIC_VHD: &str = "nix2image, `container = \"vhd-dynamic\"`";
    pub(in crate::bench) const DISK: &str = "nix2image, a disk: GPT, an ESP, the root";
    pub(in crate::bench) const ZSTD_ALONE: &str = "`zstd -T0 -3` of the raw image";
    pub(in crate::bench) const QEMU_COMPRESSED: &str =
        "`qemu-img convert -c -O qcow2` of the raw image";
}

/// Those of a closure in each container.
pub(super) const CONTAINERS: &[Peer] = &[
    Peer {
        name: names::RAW,
        role: Role::Ours,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(PLAIN)),
    },
    Peer {
        name: names::QCOW2,
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(QCOW2)),
    },
    Peer {
        name: names::FIXED_VHD,
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(FIXED_VHD)),
    },
    Peer {
        name: names::DYNAMIC_VHD,
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(DYNAMIC_VHD)),
    },
    Peer {
        name: names::COMPRESSED_QCOW2,
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(COMPRESSED_QCOW2)),
    },
    Peer {
        name: names::ZSTD,
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(ZSTD)),
    },
    Peer {
        name: names::DISK,
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(DISK)),
    },
    Peer {
        name: "nixpkgs' steps for such a disk: copy, parted, `mkfs.ext4 -d`, mkfs.vfat",
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, row| nixpkgs_disk(tools, row, "raw"),
    },
    Peer {
        name: "the same, and `qemu-img convert -O qcow2`",
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, row| nixpkgs_disk(tools, row, "qcow2"),
    },
    Peer {
        name: "`qemu-img convert -O qcow2` of the raw image",
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, _| convert(tools, &["-O", "qcow2"]),
    },
    Peer {
        name: "`qemu-img convert -O vpc`, fixed, of the raw image",
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, _| convert(tools, &["-O", "vpc", "-o", "subformat=fixed,force_size"]),
    },
    Peer {
        name: "`qemu-img convert -O vpc`, dynamic, of the raw image",
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, _| convert(tools, &["-O", "vpc", "-o", "force_size"]),
    },
    Peer {
        name: names::QEMU_COMPRESSED,
        role: Role::Contained,
        reads: Source::StorePaths,
        command: |tools, _| convert(tools, &["-c", "-O", "qcow2"]),
    },
    Peer {
        name: names::ZSTD_ALONE,
        role: Role::Contained,
        reads: Source::StorePaths,
        command: zstd,
    },
];

/// Makes the raw image that other programs read, and attributes that ask for each
/// container; `plain` are those of the raw one.
pub(super) fn prepare(
    workspace: &Workspace,
    tools: &Tools,
    row: &Row,
    plain: &Value,
) -> Result<()> {
    for (form, attribute) in [
        (ZSTD, "compression"),
        (QCOW2, "container"),
        (COMPRESSED_QCOW2, "container"),
        (FIXED_VHD, "container"),
        (DYNAMIC_VHD, "container"),
    ] {
        let mut attrs = plain.clone();
        attrs["nix2image"][attribute] = json!(form);
        workspace
            .shell
            .write_file(row.attrs(form), attrs.to_string())?;
    }
    workspace
        .shell
        .write_file(row.attrs(DISK), disk(plain).to_string())?;
    let status = nix2image(tools, &row.attrs(PLAIN))
        .env("TMPDIR", tools.scratch.path())
        .stderr(Stdio::null())
        .status()
        .context("running our builder")?;
    ensure!(status.success(), "our builder failed: {status}");
    std::fs::rename(tools.image(), tools.raw_image())?;
    Ok(())
}

/// Whether one thread and two make the same zstd of the closure, byte by byte.
pub(super) fn is_the_same_at_any_thread_count(tools: &Tools, row: &Row) -> Result<bool> {
    std::fs::create_dir(tools.work())?;
    let one = tools.scratch.path().join("one-thread");
    for cores in ["1", "2"] {
        let status = nix2image(tools, &row.attrs(ZSTD))
            .env("NIX_BUILD_CORES", cores)
            .stderr(Stdio::null())
            .status()
            .context("running our builder")?;
        ensure!(status.success(), "our builder failed: {status}");
        if cores == "1" {
            std::fs::rename(tools.image(), &one)?;
        }
    }
    let compared = Command::new("cmp")
        .arg("--silent")
        .args([&one, &tools.image()])
        .status()?;
    std::fs::remove_file(&one)?;
    std::fs::remove_file(tools.image())?;
    std::fs::remove_dir_all(tools.work())?;
    Ok(compared.success())
}

/// Attributes of a disk with the filesystem that `plain` ask for.
fn disk(plain: &Value) -> Value {
    let mut attrs = plain.clone();
    let filesystem = attrs["nix2image"]["ext4"].take();
    attrs["nix2image"]["kind"] = json!("disk");
    attrs["nix2image"]["disk"] = json!({
        "table": "gpt",
        "guid": "97fd5997-d90b-4aa3-8d16-c1723aea73c1",
        "partitions": [
            {
                "name": "ESP",
                "type": "esp",
                "start": 8 << 20,
                "size": 248 << 20,
                "content": { "fat": { "label": "ESP", "type": "fat32" } },
            },
            { "name": "root", "type": "linux", "content": { "ext4": filesystem } },
        ],
    });
    attrs
}

fn nixpkgs_disk(tools: &Tools, row: &Row, format: &str) -> Command {
    let mut command = script(tools, row, "nixpkgs-disk.sh");
    command.arg(format);
    command
}

fn convert(tools: &Tools, arguments: &[&str]) -> Command {
    let mut command = Command::new("qemu-img");
    command
        .args(["convert", "-f", "raw"])
        .args(arguments)
        .args([tools.raw_image(), tools.image()]);
    command
}

fn zstd(tools: &Tools, _: &Row) -> Command {
    let mut command = Command::new("zstd");
    command
        .args(["-q", "-T0", "-3"])
        .arg(tools.raw_image())
        .arg("-o")
        .arg(tools.image());
    command
}
