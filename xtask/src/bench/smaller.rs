//! A closure in smaller images: equal files kept once, and less set aside.

use anyhow::Result;
use serde_json::{Value, json};

use super::forms::PLAIN;
use super::peers::{Peer, Role, nix2image};
use super::rows::{Row, Source};
use crate::workspace::Workspace;

const DEDUPLICATE: &str = "deduplicate";

/// Who is measured, as the claims about them name them.
pub(super) mod names {
    pub(in crate::bench) const PLAIN: &str = "**nix2image**";
    pub(in crate::bench) const DEDUPLICATE: &str = "nix2image, `deduplicate = true`";
}

/// Those of a closure with equal files.
pub(super) const DEDUPLICATED: &[Peer] = &[
    Peer {
        name: names::PLAIN,
        role: Role::Ours,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(PLAIN)),
    },
    Peer {
        name: names::DEDUPLICATE,
        role: Role::Other,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(DEDUPLICATE)),
    },
];

macro_rules! settings {
    ($($form:literal: $name:literal,)*) => {
        &[
            Peer {
                name: "the defaults",
                role: Role::Ours,
                reads: Source::StorePaths,
                command: |tools, row| nix2image(tools, &row.attrs(PLAIN)),
            },
            $(Peer {
                name: $name,
                role: Role::Other,
                reads: Source::StorePaths,
                command: |tools, row| nix2image(tools, &row.attrs($form)),
            },)*
        ]
    };
}

/// One for each of the settings that [`ext4`] gives, under the names of their attributes.
pub(super) const SETTINGS: &[Peer] = settings! {
    "reserved": "`reservedPercent = 0`",
    "journal": "`journalSize = 4194304`",
    "inodes": "`freeInodes = 0`",
    "ratio": "`inodeRatio = 67108864`",
    "both-inodes": "`freeInodes = 0`, `inodeRatio = 67108864`",
    "grow": "`growTo = 0`",
    "free": "`freeBytes = 0`",
    "all": "all of these",
};

/// The attributes in `ext4` that each of the settings gives.
fn ext4(form: &str) -> Value {
    match form {
        "reserved" => json!({ "reservedPercent": 0 }),
        "journal" => json!({ "journalSize": 4 << 20 }),
        "inodes" => json!({ "freeInodes": 0 }),
        "ratio" => json!({ "inodeRatio": 64 << 20 }),
        "both-inodes" => json!({ "freeInodes": 0, "inodeRatio": 64 << 20 }),
        "grow" => json!({ "growTo": 0 }),
        "free" => json!({ "freeBytes": 0 }),
        _ => json!({
            "reservedPercent": 0,
            "journalSize": 4 << 20,
            "freeInodes": 0,
            "inodeRatio": 64 << 20,
            "growTo": 0,
            "freeBytes": 0,
        }),
    }
}

/// Writes attributes for all of them; `plain` are those of the graph.
pub(super) fn prepare(workspace: &Workspace, row: &Row, plain: &Value) -> Result<()> {
    let shell = &workspace.shell;
    let mut deduplicated = plain.clone();
    deduplicated["nix2image"]["deduplicate"] = json!(true);
    shell.write_file(row.attrs(DEDUPLICATE), deduplicated.to_string())?;
    for form in [
        "reserved",
        "journal",
        "inodes",
        "ratio",
        "both-inodes",
        "grow",
        "free",
        "all",
    ] {
        let mut attrs = plain.clone();
        if let (Some(into), Value::Object(given)) =
            (attrs["nix2image"]["ext4"].as_object_mut(), ext4(form))
        {
            into.extend(given);
        }
        shell.write_file(row.attrs(form), attrs.to_string())?;
    }
    Ok(())
}
