//! Attributes that are wrong, or that no image can follow.

use serde_json::{Value, json};

use super::{Stage, Subject};

pub(super) fn subjects() -> Vec<Subject> {
    vec![
        derivation(),
        values(),
        together(),
        output(),
        ext4(),
        features(),
    ]
}

fn derivation() -> Subject {
    Subject::new(
        "The derivation",
        "What the builder gets from Nix. The functions of this project write it.",
    )
    .case("It has no `__structuredAttrs = true`", |stage| {
        let command = stage.program(&[]);
        stage.show("derivation { builder = \"${nix2image}/bin/nix2image\"; … }");
        command
    })
    .case("It has no attribute `nix2image`", |stage| {
        stage.derivation(json!({ "name": "image" }))
    })
    .case("`nix2image` is no attribute set", |stage| {
        stage.derivation(json!({ "nix2image": true }))
    })
    .case(
        "It does not say of which version the attributes are",
        |stage| stage.image(json!({ "version": null })),
    )
    .case(
        "The attributes are of a newer version than the builder",
        |stage| stage.image(json!({ "version": 2, "boot": "uefi" })),
    )
    .case("It has no outputs", |stage| {
        stage.show("the file of attributes, written by hand, has no `outputs`");
        stage.builder_of_text(br#"{ "nix2image": { "version": 1 } }"#)
    })
    .case("It has no output `out`", |stage| {
        stage.derivation(json!({ "outputs": { "image": "/nix/store/x" }, "nix2image": {} }))
    })
    .case("The file of attributes is cut off", |stage| {
        stage.show(r#"{ "nix2image": { "version": 1"#);
        stage.builder_of_text(br#"{ "nix2image": { "version": 1"#)
    })
    .case("The file of attributes cannot be read", |stage| {
        stage.show("a directory stands at $NIX_ATTRS_JSON_FILE");
        let command = stage.builder_of_text(b"");
        std::fs::remove_file(stage.seen("/mnt/build/.attrs.json")).unwrap();
        stage.directory("/mnt/build/.attrs.json");
        command
    })
    .case("`NIX_BUILD_CORES` is no number", |stage| {
        let mut command = stage.image(json!({}));
        stage.show("NIX_BUILD_CORES=many nix2image");
        command.env("NIX_BUILD_CORES", "many");
        command
    })
    .case(
        "A graph is named that `exportReferencesGraph` does not provide",
        |stage| {
            stage.derivation(json!({
                "exportReferencesGraph": { "closure": [] },
                "closure": [],
                "nix2image": { "graphs": ["closuer"] },
            }))
        },
    )
    .case("A graph is named, and there are none", |stage| {
        stage.image(json!({ "graphs": ["closure"] }))
    })
    .case("A graph, written by hand, lacks a field", |stage| {
        let command = stage.image_of(&json!([{ "path": Stage::path("hello") }]), json!({}));
        stage.show("closure = [ { path = \"/nix/store/…-hello\"; } ]");
        command
    })
    .case(
        "A graph, written by hand, has a hash that is none",
        |stage| {
            let hello = json!({
                "path": Stage::path("hello"), "narHash": "sha256:0", "narSize": 1, "references": [],
            });
            let command = stage.image_of(&json!([hello]), json!({}));
            stage
                .show("closure = [ { path = \"/nix/store/…-hello\"; narHash = \"sha256:0\"; … } ]");
            command
        },
    )
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn values() -> Subject {
    Subject::new(
        "Values of attributes",
        "Each message begins with the attribute; items of lists count from 0.",
    )
    .images([
        (
            "An attribute that there is not",
            json!({ "lable": "nixos" }),
        ),
        ("The wrong type", json!({ "verify": "yes" })),
        ("A set for a list", json!({ "contents": {} })),
        (
            "A value that is not among those allowed",
            json!({ "kind": "iso" }),
        ),
        ("Another container", json!({ "container": "vdi" })),
        (
            "A number beyond its range",
            json!({ "compressionLevel": 20 }),
        ),
        ("A time in the future", json!({ "time": u32::MAX })),
        ("A negative time", json!({ "time": -1 })),
        (
            "A mode as a number",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": "/x", "mode": 600 } ] }),
        ),
        (
            "A mode that is not octal",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": "/x", "mode": "0888" } ] }),
        ),
        (
            "Contents without a target",
            json!({ "contents": [{ "source": "/nix/store/x" }] }),
        ),
        (
            "A target that is no absolute path",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": "etc/x" } ] }),
        ),
        (
            "A target with `..` in it",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": "/etc/../x" } ] }),
        ),
        (
            "A target with an empty name in it",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": "/etc//x" } ] }),
        ),
        (
            "A target with a NUL in it",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": "/etc/\0" } ] }),
        ),
        (
            "A target with a name that is too long",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": format!("/{}", "x".repeat(256)) } ] }),
        ),
        (
            "A source that is no absolute path",
            json!({ "contents": [
            { "source": "./file", "target": "/x" } ] }),
        ),
        (
            "An owner that is none",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": "/x", "uid": 4_294_967_295_u32 } ] }),
        ),
        (
            "An extended attribute of another namespace",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": "/x", "xattrs": { "comment": "mine" } } ] }),
        ),
        (
            "The value of an extended attribute is no hex",
            json!({ "contents": [
            { "source": "/nix/store/x", "target": "/x", "xattrs": { "user.x": "0x1" } } ] }),
        ),
        (
            "A system that is no store path",
            json!({ "root": { "system": "/run/current-system" } }),
        ),
        (
            "A store path whose hash is too short",
            json!({ "root": {
            "system": "/nix/store/abc-nixos" } }),
        ),
        (
            "A store path with a letter that no name has",
            json!({ "root": {
            "system": Stage::path("nixos@home") } }),
        ),
        (
            "A store path without a name",
            json!({ "root": { "system": Stage::path("") } }),
        ),
        (
            "A store path whose name is a dot",
            json!({ "root": { "system": Stage::path(".") } }),
        ),
        (
            "An image name that leads out of the output",
            json!({
            "output": "directory", "imageName": "../image" }),
        ),
    ])
}

fn together() -> Subject {
    let mbr = json!({ "table": "mbr", "id": "0x1" });
    Subject::new(
        "Attributes that do not go together",
        "Each for itself is well formed.",
    )
    .images([
        (
            "A container for a tar archive",
            json!({ "kind": "tar", "container": "qcow2" }),
        ),
        (
            "A self check of a tar archive",
            json!({ "kind": "tar", "selfCheck": true }),
        ),
        (
            "A self check of a container",
            json!({ "container": "qcow2", "selfCheck": true }),
        ),
        (
            "A container that is compressed as a whole",
            json!({
            "container": "vhd-fixed", "compression": "zstd" }),
        ),
        (
            "A report without an output for it",
            json!({ "report": true }),
        ),
        (
            "A store alone, and a root",
            json!({ "onlyStore": true, "root": {} }),
        ),
        (
            "A store alone, and its registration",
            json!({
            "onlyStore": true, "registration": true }),
        ),
        ("A disk that is not described", json!({ "kind": "disk" })),
        (
            "A disk is described, and none is wanted",
            json!({ "disk": mbr }),
        ),
        (
            "The filesystem stands beside the disk",
            json!({
            "kind": "disk", "disk": mbr, "ext4": { "label": "nixos" } }),
        ),
        (
            "A root, and no partition for it",
            json!({ "kind": "disk", "disk": mbr, "root": {} }),
        ),
        (
            "A pattern, to be unpacked",
            json!({ "contents": [
            { "source": "/nix/store/x/*", "target": "/", "glob": true, "unpack": true } ] }),
        ),
    ])
}

fn output() -> Subject {
    Subject::new("Files in the output", "What stands beside the image.")
        .images([
            (
                "Files without a directory",
                json!({
                "outputFiles": [{ "name": "notes", "text": "" }] }),
            ),
            (
                "Two files of one name",
                json!({
                "output": "directory", "imageName": "image",
                "outputFiles": [{ "name": "image", "text": "" }] }),
            ),
            (
                "A file below another",
                json!({
                "output": "directory", "imageName": "sd-image/image",
                "outputFiles": [{ "name": "sd-image", "text": "" }] }),
            ),
            (
                "The image has the name of the registration",
                json!({
                "output": "directory", "imageName": "nix-path-registration" }),
            ),
        ])
        .case("Something stands at the output already", |stage| {
            stage.write(Stage::OUT, Stage::MINE);
            stage.image(json!({}))
        })
}

fn ext4() -> Subject {
    let of = |ext4: Value| json!({ "ext4": ext4 });
    Subject::new("The ext4 filesystem", "The attributes under `ext4`.").images([
        (
            "A label that is too long",
            of(json!({ "label": "a label too long.." })),
        ),
        ("A UUID that is none", of(json!({ "uuid": "none" }))),
        (
            "Another UUID that is none",
            of(json!({
            "hashSeed": "44444444-4444-4444-8888-88888888888x" })),
        ),
        (
            "More reserved blocks than half of them",
            of(json!({ "reservedPercent": 51 })),
        ),
        ("Too many inodes", of(json!({ "inodeRatio": 1024 }))),
        (
            "A journal that is too small",
            of(json!({ "journalSize": 1_048_576 })),
        ),
        (
            "A journal that is no whole number of blocks",
            of(json!({ "journalSize": 5_000_000 })),
        ),
        (
            "To grow beyond 16 TiB",
            of(json!({ "growTo": 1_u64 << 44 })),
        ),
        ("A negative size", of(json!({ "size": -1 }))),
        ("A size that is too small", of(json!({ "size": 1_048_576 }))),
        (
            "More free bytes than a filesystem has",
            of(json!({ "freeBytes": 1_u64 << 46 })),
        ),
    ])
}

/// The features that a filesystem cannot do without.
pub(super) const LEAST: [&str; 6] = [
    "ext_attr",
    "filetype",
    "extent",
    "sparse_super",
    "large_file",
    "extra_isize",
];

fn features() -> Subject {
    let with = |more: &[&str]| json!({ "ext4": { "profile": ([&LEAST[..], more].concat()) } });
    Subject::new("Features of ext4", "The attribute `ext4.profile`.").images([
        (
            "A profile that there is not",
            json!({ "ext4": { "profile": "modren" } }),
        ),
        ("A feature that there is not", with(&["64bits"])),
        ("A feature that is not offered", with(&["bigalloc"])),
        ("A feature that GRUB cannot read", with(&["inline_data"])),
        (
            "A feature is missing that all have",
            json!({ "ext4": { "profile": ["extent"] } }),
        ),
        (
            "A feature without another that it needs",
            with(&["orphan_file"]),
        ),
        (
            "Checksums seeded, and no checksums",
            with(&["metadata_csum_seed"]),
        ),
        (
            "Two kinds of checksums",
            with(&["metadata_csum", "uninit_bg"]),
        ),
    ])
}
