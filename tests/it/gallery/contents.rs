//! Contents that cannot be taken, and what cannot stand where it shall.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};

use super::attributes::LEAST;
use super::{Stage, Subject};
use crate::support::command;

pub(super) fn subjects() -> Vec<Subject> {
    vec![sources(), places(), closure_files(), root()]
}

/// An image with one item of contents.
fn item(stage: &Stage, source: &str, target: &str) -> Command {
    stage.image(json!({ "contents": [{ "source": source, "target": target }] }))
}

fn sources() -> Subject {
    Subject::new("Sources of contents", "The attribute `contents`.")
        .case("A path that is not in the store", |stage| {
            item(stage, "/etc/hosts", "/etc/hosts")
        })
        .case("A path that is not there", |stage| {
            item(stage, &Stage::path("notes"), "/notes")
        })
        .case("A path that leads out of the store", |stage| {
            stage.link(&Stage::path("files/host"), "/etc");
            item(stage, &Stage::path("files/host/hosts"), "/etc/hosts")
        })
        .case("A pattern that nothing matches", |stage| {
            let files = stage.directory(&Stage::path("files"));
            stage.image(json!({ "contents": [
                { "source": format!("{files}/*.conf"), "target": "/etc", "glob": true } ] }))
        })
        .case("A pattern that is none", |stage| {
            let files = stage.directory(&Stage::path("files"));
            stage.image(json!({ "contents": [
                { "source": format!("{files}/[a"), "target": "/etc", "glob": true } ] }))
        })
        .case("A pattern, to be unpacked", |stage| {
            let files = stage.directory(&Stage::path("files"));
            stage.image(json!({ "contents": [{
                "source": format!("{files}/*.tar"), "target": "/",
                "glob": true, "unpack": true } ] }))
        })
        .case("A pattern in a directory that cannot be read", |stage| {
            let files = stage.directory(&Stage::path("files/closed"));
            closed(stage, &files);
            stage.image(json!({ "contents": [
                { "source": format!("{files}/*"), "target": "/", "glob": true } ] }))
        })
        .case("An image for a partition that is a directory", |stage| {
            let source = stage.directory(&Stage::path("swap"));
            in_partition(stage, &source)
        })
        .case("An image for a partition that is not there", |stage| {
            in_partition(stage, &Stage::path("swap.img"))
        })
}

/// A disk with `source` in a partition.
fn in_partition(stage: &Stage, source: &str) -> Command {
    let partitions = json!([{ "type": "linux", "content": { "file": source } }]);
    stage.image(json!({
        "kind": "disk", "disk": { "table": "mbr", "id": "0x1", "partitions": partitions },
    }))
}

/// Lets nobody list or enter `path`, and the program be nobody who may.
fn closed(stage: &Stage, path: &str) {
    std::fs::set_permissions(stage.seen(path), std::fs::Permissions::from_mode(0o000)).unwrap();
    stage.under(&["setpriv", "--bounding-set=-dac_override,-dac_read_search"]);
}

fn places() -> Subject {
    Subject::new("What stands in one place", "")
        .case("Two files at one place", |stage| {
            let [a, b] = [stage.put("a", ""), stage.put("b", "")];
            stage.image(json!({ "contents": [
                { "source": a, "target": "/etc/a" }, { "source": b, "target": "/etc/a" } ] }))
        })
        .case("A file below a file", |stage| {
            let [a, b] = [stage.put("a", ""), stage.put("b", "")];
            stage.image(json!({ "contents": [
                { "source": a, "target": "/etc" }, { "source": b, "target": "/etc/b" } ] }))
        })
        .case("A file where the root of a NixOS has one", |stage| {
            let file = stage.put("file", "");
            stage.image(json!({ "root": {}, "contents": [
                { "source": file, "target": "/etc/NIXOS" } ] }))
        })
        .case("A file in place of the root", |stage| {
            let file = stage.put("file", "");
            item(stage, &file, "/")
        })
        .case("The same in a tar archive", |stage| {
            let file = stage.put("file", "");
            stage.image(json!({ "kind": "tar", "contents": [
                { "source": file, "target": "/" } ] }))
        })
        .case("A file in a store path of the closure", |stage| {
            let hello = stage.put("hello", "");
            let graph = graph(&hello);
            stage.image_of(
                &graph,
                json!({ "contents": [
                { "source": hello, "target": format!("{hello}/file") } ] }),
            )
        })
        .case("Two files of 8 TiB", |stage| {
            let file = stage.put("disk.img", "");
            let opened = std::fs::OpenOptions::new()
                .write(true)
                .open(stage.seen(&file));
            opened.unwrap().set_len(8 << 40).unwrap();
            stage.image(json!({ "contents": [
                { "source": file, "target": "/a" }, { "source": file, "target": "/b" } ] }))
        })
        .case("A file of 16 TiB", |stage| {
            let file = Stage::path("disk.img");
            stage.first("mount -t tmpfs tmpfs /nix/store");
            stage.first(&format!("truncate -s 16T {file}"));
            item(stage, &file, "/disk.img")
        })
        .case("A file of 2 TiB without the feature `huge_file`", |stage| {
            let file = stage.put("disk.img", "");
            let opened = std::fs::OpenOptions::new()
                .write(true)
                .open(stage.seen(&file));
            opened.unwrap().set_len(2 << 40).unwrap();
            stage.image(json!({
                "ext4": { "profile": LEAST },
                "contents": [{ "source": file, "target": "/a" }] }))
        })
}

/// A graph of one path; nobody has computed its hash.
pub(super) fn graph(path: &str) -> Value {
    json!([{
        "path": path, "narHash": format!("sha256:{}", "0".repeat(64)), "narSize": 1,
        "references": [],
    }])
}

fn closure_files() -> Subject {
    /// An image of the store path `hello`.
    fn image(stage: &Stage) -> Command {
        let command = stage.image_of(&graph(&Stage::path("hello")), json!({}));
        stage.show("graphs = [ \"closure\" ]");
        command
    }
    Subject::new(
        "Files of store paths",
        "What stands in the closure, on the host.",
    )
    .case("A store path that is not on the host", image)
    .case(
        "A directory without its x bit, as Nix before 2.32 makes them",
        |stage| {
            stage.put("hello/bin/hello", "");
            closed(stage, &Stage::path("hello/bin"));
            image(stage)
        },
    )
    .case("A file that the builder may not read", |stage| {
        let file = stage.put("hello/secret", "secret");
        closed(stage, &file);
        image(stage)
    })
    .case("A socket", |stage| {
        let hello = stage.directory(&Stage::path("hello"));
        let socket = stage.seen(&hello).join("socket");
        drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
        image(stage)
    })
    .case("A FIFO in contents", |stage| {
        let files = stage.directory(&Stage::path("files"));
        command::run(Command::new("mkfifo").arg(stage.seen(&files).join("fifo")));
        item(stage, &files, "/files")
    })
    .case(
        "A store path whose hash is another, with `selfCheck`",
        |stage| {
            let hello = stage.put("hello", "content");
            stage.image_of(&graph(&hello), json!({ "selfCheck": true }))
        },
    )
    .case("The same with `verify`", |stage| {
        let hello = stage.put("hello", "content");
        stage.image_of(&graph(&hello), json!({ "verify": true }))
    })
}

fn root() -> Subject {
    /// A root with this shell, of a closure that has some paths that may be taken for one.
    fn shell(stage: &Stage, shell: &str) -> Command {
        let hello = stage.put("hello/notes", "");
        stage.directory(&Stage::path("hello/bin"));
        stage.link(&Stage::path("hello/loop"), "loop");
        stage.link(&Stage::path("hello/other"), &Stage::path("bash"));
        let hello = hello.trim_end_matches("/notes");
        stage.image_of(&graph(hello), json!({ "root": { "shell": shell } }))
    }
    Subject::new("The root of a NixOS", "The attribute `root`.")
        .images([
            (
                "A system that is not in the closure",
                json!({ "root": {
                "system": Stage::path("nixos-system") } }),
            ),
            (
                "A channel that is not in the closure",
                json!({ "root": {
                "channel": Stage::path("nixos-channel") } }),
            ),
            (
                "A shell that is not in the store",
                json!({ "root": { "shell": "/bin/bash" } }),
            ),
        ])
        .case("A shell that is not in the closure", |stage| {
            shell(stage, &Stage::path("bash/bin/sh"))
        })
        .case(
            "A shell that leads to a path that is not in the closure",
            |stage| shell(stage, &Stage::path("hello/other/bin/sh")),
        )
        .case("A shell that is not there", |stage| {
            shell(stage, &Stage::path("hello/bin/sh"))
        })
        .case("A shell that is a directory", |stage| {
            shell(stage, &Stage::path("hello/bin"))
        })
        .case("A shell that is not executable", |stage| {
            shell(stage, &Stage::path("hello/notes"))
        })
        .case("A shell that leads to itself", |stage| {
            shell(stage, &Stage::path("hello/loop"))
        })
}
