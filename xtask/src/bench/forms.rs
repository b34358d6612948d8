//! A closure in each form in which one can be given.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xshell::cmd;

use super::peers::{Peer, Role, Tools, nix2image};
use super::rows::{Row, Source, parse_registration};
use crate::workspace::Workspace;

/// The graph of the structured attributes, and nothing else.
pub(super) const PLAIN: &str = "plain";
const VERIFY: &str = "verify";
const ROOT: &str = "root";
const TEXT_GRAPH: &str = "text-graph";
const EXPORT: &str = "export";
const ZSTD_EXPORT: &str = "zstd-export";
const BINARY_CACHE: &str = "binary-cache";

/// Who is measured, as the claims about them name them.
pub(super) mod names {
    pub(in crate::bench) const PLAIN: &str = "**nix2image**";
    pub(in crate::bench) const VERIFY: &str = "nix2image, `verify = true`";
    pub(in crate::bench) const EXPORT: &str = "nix2image, of an export";
    pub(in crate::bench) const ZSTD_EXPORT: &str = "nix2image, of an export in zstd";
    pub(in crate::bench) const HASHING: &str = "hashing alone, on all cores";
    pub(in crate::bench) const UNZSTD: &str = "`zstd -d` of the export";
}

/// Those of a closure in each of its forms.
pub(super) const FORMS: &[Peer] = &[
    Peer {
        name: names::PLAIN,
        role: Role::Ours,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(PLAIN)),
    },
    Peer {
        name: names::VERIFY,
        role: Role::Other,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(VERIFY)),
    },
    Peer {
        name: "nix2image, `root = { }`: with the database",
        role: Role::Other,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(ROOT)),
    },
    Peer {
        name: "nix2image, of a text graph",
        role: Role::Other,
        reads: Source::StorePaths,
        command: |tools, row| nix2image(tools, &row.attrs(TEXT_GRAPH)),
    },
    Peer {
        name: names::EXPORT,
        role: Role::Other,
        reads: Source::Export,
        command: |tools, row| nix2image(tools, &row.attrs(EXPORT)),
    },
    Peer {
        name: names::ZSTD_EXPORT,
        role: Role::Other,
        reads: Source::ZstdExport,
        command: |tools, row| nix2image(tools, &row.attrs(ZSTD_EXPORT)),
    },
    Peer {
        name: "nix2image, of a binary cache with NARs in zstd",
        role: Role::Other,
        reads: Source::BinaryCache,
        command: |tools, row| nix2image(tools, &row.attrs(BINARY_CACHE)),
    },
    Peer {
        name: names::HASHING,
        role: Role::Part,
        reads: Source::StorePaths,
        command: hash,
    },
    Peer {
        name: names::UNZSTD,
        role: Role::Part,
        reads: Source::ZstdExport,
        command: unzstd,
    },
];

/// Makes all forms of the row's closure, with attributes that ask for an
/// image of each; `plain` are those of the graph.
pub(super) fn prepare(workspace: &Workspace, row: &Row, plain: &Value) -> Result<()> {
    let shell = &workspace.shell;
    let directory = row.forms();
    shell.remove_path(&directory)?;
    shell.create_dir(&directory)?;
    let file = |form| directory.join(form);
    let (top, paths) = (&row.top, &row.paths);

    let registration = shell.read_file(&row.registration)?;
    shell.write_file(file(TEXT_GRAPH), as_text_graph(&registration)?)?;
    let export = file(EXPORT);
    write_export(&export, cmd!(shell, "nix-store --export {paths...}").into())?;
    let zstd_export = file(ZSTD_EXPORT);
    cmd!(shell, "zstd -q -3 {export} -o {zstd_export}")
        .quiet()
        .run()?;
    let url = format!("file://{}?compression=zstd", file(BINARY_CACHE).display());
    cmd!(shell, "nix copy --quiet --no-check-sigs --to {url} {top}")
        .quiet()
        .run()?;
    // Or they are written to the disk while others are measured.
    cmd!(shell, "sync --file-system {directory}")
        .quiet()
        .run()?;

    for (source, form) in [
        (Source::Export, EXPORT),
        (Source::ZstdExport, ZSTD_EXPORT),
        (Source::BinaryCache, BINARY_CACHE),
    ] {
        shell.write_file(row.list(source), file(form).display().to_string())?;
    }
    for (form, attrs) in attributes(row, plain) {
        shell.write_file(row.attrs(form), attrs.to_string())?;
    }
    Ok(())
}

/// The structured attributes of a derivation for each form but the plain one.
fn attributes(row: &Row, plain: &Value) -> Vec<(&'static str, Value)> {
    let file = |form| row.forms().join(form);
    let of_graph = |name: &str, value: Value| {
        let mut attrs = plain.clone();
        attrs["nix2image"][name] = value;
        attrs
    };
    let of_files = |name: &str, value: Value| {
        json!({
            "outputs": plain["outputs"],
            "nix2image": { "version": 1, name: value, "ext4": plain["nix2image"]["ext4"] },
        })
    };
    let cache = json!({ "cache": file(BINARY_CACHE), "paths": [row.top] });
    vec![
        (VERIFY, of_graph("verify", json!(true))),
        (ROOT, of_graph("root", json!({}))),
        (
            TEXT_GRAPH,
            of_files("textGraphs", json!([file(TEXT_GRAPH)])),
        ),
        (EXPORT, of_files("exports", json!([file(EXPORT)]))),
        (ZSTD_EXPORT, of_files("exports", json!([file(ZSTD_EXPORT)]))),
        (BINARY_CACHE, of_files("binaryCaches", json!([cache]))),
    ]
}

/// The text form of `exportReferencesGraph`, of what `nix-store --dump-db` writes.
fn as_text_graph(registration: &str) -> Result<String> {
    let mut text = String::new();
    for valid in parse_registration(registration)? {
        writeln!(text, "{}\n\n{}", valid.path, valid.references.len())?;
        for reference in valid.references {
            writeln!(text, "{reference}")?;
        }
    }
    Ok(text)
}

/// Runs `command` with its output in `file`.
fn write_export(file: &Path, mut command: Command) -> Result<()> {
    let output = File::create(file).with_context(|| format!("creating {}", file.display()))?;
    let status = command.stdout(output).status().context("nix-store")?;
    ensure!(status.success(), "nix-store --export failed: {status}");
    Ok(())
}

fn hash(tools: &Tools, row: &Row) -> Command {
    let mut command = Command::new(tools.peers.join("hash"));
    command.arg(row.list(Source::StorePaths));
    command
}

fn unzstd(tools: &Tools, row: &Row) -> Command {
    let mut command = Command::new("zstd");
    command
        .args(["-d", "-q"])
        .arg(row.forms().join(ZSTD_EXPORT))
        .arg("-o")
        .arg(tools.image());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_graph_has_no_hash_and_no_deriver() {
        let graph = as_text_graph("/a\nff\n12\n/x.drv\n2\n/b\n/c\n/b\nff\n7\n\n0\n").unwrap();
        assert_eq!(graph, "/a\n\n2\n/b\n/c\n/b\n\n0\n");
    }
}
