//! What was found as JSON, for programs. docs/inspect.md says what each field means.

use serde_json::{Value, json};

use super::container::Container;
use super::files::{Entry, EntryKind};
use super::filesystem::Filesystem;
use super::show::{Escaped, uuid};
use super::table::{GptCopies, Partition, Table, TableKind};
use super::{Image, Part};

/// The version of what [`image`] and [`listing`] give. A field that is added leaves it as it is.
const VERSION: u32 = 1;

/// What an image is.
#[must_use]
pub fn image(image: &Image) -> Value {
    let (partitions, filesystem) = match image.parts() {
        [
            part @ Part {
                partition: None, ..
            },
        ] => (Vec::new(), filesystem(part)),
        parts => (parts.iter().map(part).collect(), Value::Null),
    };
    json!({
        "version": VERSION,
        "file": {
            "path": Escaped(image.path().as_os_str().as_encoded_bytes()).to_string(),
            "bytes": image.bytes(),
            "allocatedBytes": image.allocated_bytes(),
        },
        "container": container(image.container()),
        "diskBytes": image.disk_bytes(),
        "table": image.table().map(table),
        "partitions": partitions,
        "filesystem": filesystem,
    })
}

/// What `ls` lists.
#[must_use]
pub fn listing(entries: &[Entry]) -> Value {
    json!({
        "version": VERSION,
        "entries": entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn container(container: Container) -> Value {
    match container {
        Container::Raw => json!({ "format": "raw" }),
        Container::Zstd => json!({ "format": "zstd" }),
        Container::Qcow2 {
            version,
            cluster_bytes,
            compressed,
        } => json!({
            "format": "qcow2",
            "formatVersion": version,
            "clusterBytes": cluster_bytes,
            "compressed": compressed,
        }),
        Container::VhdFixed { identity } => {
            json!({ "format": "vhd-fixed", "identity": uuid(&identity) })
        }
        Container::VhdDynamic {
            block_bytes,
            identity,
        } => json!({
            "format": "vhd-dynamic",
            "identity": uuid(&identity),
            "blockBytes": block_bytes,
        }),
    }
}

fn table(table: &Table) -> Value {
    let (kind, copies) = match table.kind {
        TableKind::Mbr => ("mbr", None),
        TableKind::Gpt { copies } => ("gpt", Some(copies)),
    };
    json!({
        "type": kind,
        "identity": table.identity,
        "sectorBytes": table.sector_bytes,
        "copies": copies.map(|copies| match copies {
            GptCopies::Both => "both",
            GptCopies::FirstAlone => "first",
            GptCopies::LastAlone => "last",
        }),
    })
}

fn part(part: &Part) -> Value {
    let mut value = part.partition.as_ref().map_or_else(|| json!({}), partition);
    value["filesystem"] = filesystem(part);
    value
}

fn partition(partition: &Partition) -> Value {
    json!({
        "number": partition.number,
        "name": partition.name,
        "type": partition.kind,
        "typeName": partition.kind_name,
        "identity": partition.identity,
        "bootable": partition.bootable,
        "start": partition.start,
        "bytes": partition.size,
    })
}

fn filesystem(part: &Part) -> Value {
    match &part.filesystem {
        None => Value::Null,
        Some(Filesystem::Other(name)) => json!({ "type": name }),
        Some(known @ Filesystem::Ext4(facts)) => json!({
            "type": known.name(),
            "label": Escaped(&facts.label).to_string(),
            "identity": facts.uuid,
            "features": facts.features,
            "bytes": facts.bytes(),
            "freeBytes": facts.free_bytes(),
            "blockBytes": facts.block_bytes,
            "blocks": facts.blocks,
            "freeBlocks": facts.free_blocks,
            "inodes": facts.inodes,
            "freeInodes": facts.free_inodes,
            "journalBytes": facts.journal_bytes,
        }),
        Some(known @ Filesystem::Fat(facts)) => json!({
            "type": known.name(),
            "label": facts.label,
            "identity": facts.serial,
            "bytes": facts.bytes,
            "freeBytes": facts.free_bytes(),
            "sectorBytes": facts.sector_bytes,
            "clusterBytes": facts.cluster_bytes,
            "clusters": facts.clusters,
            "freeClusters": facts.free_clusters,
        }),
    }
}

fn entry(entry: &Entry) -> Value {
    let mut value = json!({
        "type": kind(entry.kind),
        "name": Escaped(&entry.name).to_string(),
        "bytes": entry.size,
        "mode": entry.unix.map(|unix| format!("{:04o}", unix.mode)),
        "uid": entry.unix.map(|unix| unix.uid),
        "gid": entry.unix.map(|unix| unix.gid),
    });
    if entry.kind == EntryKind::Symlink {
        let target = entry.target.as_ref();
        value["target"] = json!(target.map(|target| Escaped(target).to_string()));
    }
    value
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink => "symlink",
        EntryKind::CharacterDevice => "character-device",
        EntryKind::BlockDevice => "block-device",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
    }
}
