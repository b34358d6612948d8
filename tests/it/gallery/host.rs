//! A host that is full, read-only or limited.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};

use super::contents::graph;
use super::{Stage, Subject};
use crate::support::sample::noise;

pub(super) fn subjects() -> Vec<Subject> {
    vec![outputs(), limits()]
}

/// An image without a closure, on one thread, so that it is always refused at the same byte.
fn image(stage: &Stage, attributes: Value) -> Command {
    let mut command = stage.image(attributes);
    command.env("NIX_BUILD_CORES", "1");
    command
}

fn outputs() -> Subject {
    Subject::new("Where the output goes", "")
        .case("The disk is full", |stage| {
            stage.first("mount -t tmpfs -o size=1m tmpfs /nix/store");
            let command = image(stage, json!({}));
            stage.show("the filesystem of /nix/store has 1 MiB");
            command
        })
        .case(
            "The disk is too full to check a compressed image",
            |stage| {
                let file = Stage::path("text");
                stage.write("/mnt/text", vec![b'x'; 4 << 20]);
                stage.first("mount -t tmpfs -o size=5m tmpfs /nix/store");
                stage.first(&format!("cp text {file}"));
                let contents = json!([{ "source": file, "target": "/text" }]);
                image(
                    stage,
                    json!({ "contents": contents, "compression": "zstd", "selfCheck": true }),
                )
            },
        )
        .case("The disk is too full for a compressed image", |stage| {
            let file = Stage::path("noise");
            stage.write("/mnt/noise", noise(600_000, 1));
            stage.first("mount -t tmpfs -o size=700k tmpfs /nix/store");
            stage.first(&format!("cp noise {file}"));
            let contents = json!([{ "source": file, "target": "/noise" }]);
            image(
                stage,
                json!({ "compression": "zstd", "contents": contents }),
            )
        })
        .case("The filesystem is read-only", |stage| {
            stage.first("mount -t tmpfs -o ro tmpfs /nix/store");
            let command = image(stage, json!({}));
            stage.show("the filesystem of /nix/store is read-only");
            command
        })
        .case("The directory may not be written", |stage| {
            let store = stage.seen("/nix/store/x");
            let closed = fs::Permissions::from_mode(0o555);
            fs::set_permissions(store.parent().unwrap(), closed).unwrap();
            stage.under(&["setpriv", "--bounding-set=-dac_override,-dac_read_search"]);
            let command = image(stage, json!({}));
            stage.show("nobody but root may write to /nix/store");
            command
        })
        .case("The output is the root of all", |stage| {
            stage.derivation(json!({ "outputs": { "out": "/" }, "nix2image": {} }))
        })
}

fn limits() -> Subject {
    Subject::new("Limits of the process", "")
        .case("Too little address space for its threads", |stage| {
            stage.under(&["prlimit", "--as=1073741824"]);
            let mut command = image(stage, json!({}));
            stage.show("ulimit -v 1048576; NIX_BUILD_CORES=500 nix2image");
            command.env("NIX_BUILD_CORES", "500");
            command
        })
        .case(
            "The largest file that is allowed is smaller than the image",
            |stage| {
                stage.under(&["prlimit", "--fsize=1048576"]);
                let command = image(stage, json!({}));
                stage.show("ulimit -f 1024; nix2image");
                command
            },
        )
        .case("The same for a compressed image", |stage| {
            stage.under(&["prlimit", "--fsize=512"]);
            let command = image(stage, json!({ "compression": "zstd" }));
            stage.show("ulimit -f 1; nix2image");
            command
        })
        .case("Too few descriptors", |stage| {
            let hello = stage.put("hello/bin/hello", "");
            let hello = hello.trim_end_matches("/bin/hello");
            stage.under(&["prlimit", "--nofile=4"]);
            let mut command = stage.image_of(&graph(hello), json!({}));
            stage.show("ulimit -n 4; nix2image");
            command.env("NIX_BUILD_CORES", "1");
            command
        })
}
