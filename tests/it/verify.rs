//! `nix2image verify`: an image is as it says of itself, and what was changed in it is found.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::built::{self, Built};
use crate::support::command::{describe, output, run};
use crate::support::direct::Direct;
use crate::support::inspected::{json, nix2image, refusal};
use crate::support::nix::{Nix, PathInfo};
use crate::support::temporary;

/// A closure of some libraries.
fn closure() -> Vec<PathInfo> {
    let library = built::expression("packages.libacl1");
    Nix::Machine.closure(&[&Nix::Machine.build(&["--expr", &library])])
}

/// An image of the closure `paths` with the attributes `image`.
#[track_caller]
fn built_of(paths: &[PathInfo], image: Value) -> Direct {
    let derivation = Direct::new(image, paths);
    run(&mut derivation.builder_after(&[]));
    derivation
}

/// An image of a NixOS root of the closure, with a database and a registration; a copy, which
/// may be changed.
#[track_caller]
fn root_of(paths: &[PathInfo]) -> Built {
    built::copied(&built_of(paths, json!({ "root": {} })).out())
}

/// What `verify` finds of `image`, and whether it is content.
#[track_caller]
fn verified(image: &Path) -> Value {
    let mut command = nix2image("verify", image);
    let output = output(command.arg("--json"));
    let found = json(&output);
    let code = i32::from(found["ok"] == false);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}",
        describe(&command, &output)
    );
    assert!(output.stderr.is_empty(), "{}", describe(&command, &output));
    found
}

/// The findings of `verify`, of an image where something is wrong.
#[track_caller]
fn findings(image: &Path) -> Vec<Value> {
    let found = verified(image);
    assert_eq!(found["ok"], false, "{found}");
    found["findings"].as_array().unwrap().clone()
}

/// What a person is told by `verify` of an image where something is wrong.
#[track_caller]
fn told(image: &Path) -> String {
    let mut command = nix2image("verify", image);
    let output = output(&mut command);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        describe(&command, &output)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Changes `image` by a request to debugfs.
#[track_caller]
fn debugfs(image: &Path, request: &str) {
    let mut command = Command::new("debugfs");
    let output = output(command.args(["-w", "-R", request]).arg(image));
    // It says its version on standard error, and complaints too.
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stderr.lines().count() == 1,
        "{}",
        describe(&command, &output)
    );
}

fn nar(info: &PathInfo) -> Value {
    let hash: nix2image::store::NarHash = format!("sha256:{}", info.nar_hash).parse().unwrap();
    json!({ "narHash": hash.to_string(), "narSize": info.nar_size })
}

/// A path of the closure that has a large file, with that file.
#[track_caller]
fn with_large_file(paths: &[PathInfo]) -> (&PathInfo, PathBuf) {
    let large = paths.iter().find_map(|info| {
        let found = run(Command::new("find")
            .arg(&info.path)
            .args(["-type", "f", "-size", "+30k"]));
        let file = found.lines().next()?;
        Some((info, file.into()))
    });
    large.expect("a library is a large file")
}

#[test]
fn an_image_that_was_just_made_is_right_in_every_container() {
    let paths = closure();
    let size: u64 = paths.iter().map(|info| info.nar_size).sum();
    for image in [
        json!({ "root": {} }),
        json!({ "root": {}, "compression": "zstd" }),
        json!({ "root": {}, "container": "qcow2" }),
        json!({ "root": {}, "container": "qcow2-compressed" }),
        json!({ "root": {}, "container": "vhd-fixed" }),
        json!({ "root": {}, "container": "vhd-dynamic" }),
        json!({ "root": {}, "ext4": { "profile": "legacy-uboot" } }),
        json!({ "root": {}, "deduplicate": true }),
    ] {
        let derivation = built_of(&paths, image.clone());
        let expected = json!({
            "version": 1, "ok": true, "database": true, "registration": true,
            "right": paths.len(), "narBytes": size, "findings": [],
        });
        assert_eq!(verified(&derivation.out()), expected, "{image}");
    }
}

#[test]
fn the_store_of_a_disk_and_of_an_output_directory_is_found() {
    let paths = closure();
    let disk = json!({
        "table": "gpt", "guid": "DEADBEEF-0000-4000-8000-000000000001",
        "partitions": [
            { "type": "esp", "content": { "fat": { "label": "ESP", "volumeId": "0x2178694e" } } },
            { "type": "linux", "content": { "ext4": { "label": "nixos" } } },
        ],
    });
    let image = json!({
        "kind": "disk", "disk": disk, "root": {}, "output": "directory", "container": "qcow2",
    });
    let derivation = built_of(&paths, image);
    assert_eq!(verified(&derivation.out())["right"], paths.len());
    let mut command = nix2image("verify", &derivation.out());
    let line = refusal(command.args(["--partition", "1"]), 2);
    assert_eq!(
        line,
        "partition 1 holds fat12, and a store is in ext4; choose another partition"
    );
}

#[test]
fn a_registration_alone_and_a_database_alone_are_enough() {
    let paths = closure();
    for (image, database, registration) in [
        (json!({}), false, true),
        (json!({ "root": {}, "registration": false }), true, false),
    ] {
        let derivation = built_of(&paths, image);
        let found = verified(&derivation.out());
        assert_eq!(found["database"], database);
        assert_eq!(found["registration"], registration);
        assert_eq!(found["right"], paths.len());
        assert_eq!(found["ok"], true);
    }
}

#[test]
fn an_empty_registration_which_sd_cards_have_says_nothing() {
    let paths = closure();
    let image = root_of(&paths);
    debugfs(&image, "rm /nix-path-registration");
    debugfs(&image, "write /dev/null /nix-path-registration");
    let found = verified(&image);
    assert_eq!(found["ok"], true, "{found}");
    assert_eq!(found["registration"], false);
    assert_eq!(found["right"], paths.len());
}

#[test]
fn without_a_database_and_a_registration_there_is_nothing_to_verify_against() {
    let paths = closure();
    let refused = |image| refusal(&mut nix2image("verify", &built_of(&paths, image).out()), 2);
    assert_eq!(
        refused(json!({ "registration": false })),
        "the image has neither /nix/var/nix/db/db.sqlite nor a /nix-path-registration that is not \
         empty: there is nothing to verify it against; build it with `registration = true`, \
         or with the database of a root"
    );
    assert_eq!(
        refused(json!({ "onlyStore": true })),
        format!(
            "the image is a store by itself, with {} store paths at its top, and has neither a \
             database nor a registration: there is nothing to verify it against",
            paths.len()
        )
    );
    let empty = Direct::new(json!({ "registration": false }), &[]);
    run(&mut empty.builder_after(&[]));
    let line = refusal(&mut nix2image("verify", &empty.out()), 2);
    assert!(line.contains("nothing to verify"), "{line}");
}

#[test]
fn a_flipped_byte_is_found_with_both_hashes() {
    let paths = closure();
    let (info, file) = with_large_file(&paths);
    let image = root_of(&paths);
    let request = format!("blocks {}", file.display());
    let blocks = run(Command::new("debugfs").args(["-R", &request]).arg(&*image));
    let block: u64 = blocks.split_whitespace().nth(3).unwrap().parse().unwrap();
    let bytes = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&*image)
        .unwrap();
    let mut byte = [0];
    bytes.read_exact_at(&mut byte, block * 4096 + 77).unwrap();
    bytes
        .write_all_at(&[byte[0] ^ 1], block * 4096 + 77)
        .unwrap();

    let found = findings(&image);
    let [finding] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(finding["fault"], "changed");
    assert_eq!(finding["path"], info.path);
    assert_eq!(finding["expected"], nar(info));
    assert_eq!(finding["found"]["narSize"], info.nar_size);
    assert_ne!(finding["found"], finding["expected"]);
    assert_eq!(verified(&image)["right"], paths.len() - 1);
    let text = told(&image);
    let line = text.lines().next().unwrap();
    let hash = |nar: &Value| nar["narHash"].as_str().unwrap().to_owned();
    assert_eq!(
        line,
        format!(
            "changed    {}: registered with {} and {size} bytes, and there with {} and {size} bytes",
            info.path,
            hash(&finding["expected"]),
            hash(&finding["found"]),
            size = info.nar_size,
        )
    );
    assert!(text.contains("1 thing is wrong"), "{text}");
}

#[test]
fn another_mode_is_another_nar_if_it_is_the_executable_bit() {
    let paths = closure();
    let (info, file) = with_large_file(&paths);
    let image = root_of(&paths);
    let set_mode = |mode: &str| {
        let request = format!("set_inode_field {} mode {mode}", file.display());
        debugfs(&image, &request);
    };
    let is_executable = fs::metadata(&file).is_ok_and(|metadata| {
        std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0
    });
    let (same, other) = if is_executable {
        ("0100755", "0100644")
    } else {
        ("0100644", "0100755")
    };
    set_mode(same);
    assert_eq!(verified(&image)["ok"], true);
    set_mode(other);
    let found = findings(&image);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["fault"], &found[0]["path"]),
        (&json!("changed"), &json!(info.path))
    );
}

#[test]
fn a_path_that_is_gone_and_one_that_came_are_found() {
    let paths = closure();
    let image = root_of(&paths);
    let gone = &paths[paths.len() / 2];
    debugfs(&image, &format!("unlink {}", gone.path));
    let directory = temporary::directory();
    let source = directory.path().join("source");
    fs::write(&source, "what nobody registered").unwrap();
    let came = "/nix/store/00000000000000000000000000000000-came";
    debugfs(&image, &format!("write {} {came}", source.display()));
    debugfs(&image, "mkdir /nix/store/.links");
    let script = directory.path().join("script");
    fs::write(&script, "cd /nix/store\nmknod pipe p\n").unwrap();
    run(Command::new("debugfs")
        .args(["-w", "-f"])
        .arg(&script)
        .arg(&*image));
    let found = findings(&image);
    let (nar_hash, nar_size) = nix2image::store::nar::nar_hash(&source).unwrap();
    let by_path = |path: &str| {
        found
            .iter()
            .find(|finding| finding["path"] == path)
            .unwrap()
    };
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(
        *by_path(&gone.path),
        json!({ "path": gone.path, "fault": "missing", "expected": nar(gone) })
    );
    let nar = json!({ "narHash": nar_hash.to_string(), "narSize": nar_size });
    assert_eq!(
        *by_path(came),
        json!({ "path": came, "fault": "extra", "found": nar })
    );
    let pipe = "/nix/store/pipe";
    assert_eq!(
        *by_path(pipe),
        json!({ "path": pipe, "fault": "extra", "found": null })
    );
    let text = told(&image);
    let found: Vec<_> = text
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        found.iter().filter(|word| **word == "extra").count(),
        2,
        "{text}"
    );
    assert!(
        text.contains(&format!(
            "missing    {}: registered with sha256:",
            gone.path
        )),
        "{text}"
    );
}

/// Changes the database in `image` by a statement.
#[track_caller]
fn change_database(image: &Path, statement: &str) {
    const PATH: &str = "/nix/var/nix/db/db.sqlite";
    let directory = temporary::directory();
    let copy = directory.path().join("db.sqlite");
    debugfs(image, &format!("dump {PATH} {}", copy.display()));
    run(Command::new("sqlite3").arg(&copy).arg(statement));
    debugfs(image, &format!("rm {PATH}"));
    debugfs(image, &format!("write {} {PATH}", copy.display()));
}

#[test]
fn where_database_and_registration_disagree_both_are_told() {
    let paths = closure();
    let image = root_of(&paths);
    let refers = |other: &PathInfo, info: &PathInfo| {
        other.path != info.path && other.references.contains(&info.path)
    };
    let is_referred_to = |info: &&PathInfo| paths.iter().any(|other| refers(other, info));
    let dropped = paths.iter().find(is_referred_to).unwrap();
    let changed = paths.iter().find(|info| info.path != dropped.path).unwrap();
    let zero = "0".repeat(64);
    change_database(
        &image,
        &format!(
            "update ValidPaths set hash = 'sha256:{zero}' where path = '{}';
             delete from Refs where referrer = (select id from ValidPaths where path = '{d}')
                 or reference = (select id from ValidPaths where path = '{d}');
             delete from ValidPaths where path = '{d}';",
            changed.path,
            d = dropped.path,
        ),
    );
    let found = findings(&image);
    let of = |path: &str, fault: &str| {
        found
            .iter()
            .find(|finding| finding["path"] == path && finding["fault"] == fault)
            .unwrap_or_else(|| panic!("{fault} {path} in {found:?}"))
    };
    let wrong = PathInfo {
        nar_hash: zero,
        ..changed.clone()
    };
    let disagreement = of(&changed.path, "disagree");
    assert_eq!(disagreement["database"], nar(&wrong));
    assert_eq!(disagreement["registration"], nar(changed));
    let finding = of(&changed.path, "changed");
    assert_eq!(finding["expected"], nar(&wrong));
    assert_eq!(finding["found"], nar(changed));
    let disagreement = of(&dropped.path, "disagree");
    assert_eq!(disagreement["database"], Value::Null);
    assert_eq!(disagreement["registration"], nar(dropped));
    // Who referred to it does so in the registration alone.
    for info in &paths {
        let finding = found
            .iter()
            .find(|finding| finding["path"] == info.path && finding["fault"] == "references");
        assert_eq!(finding.is_some(), refers(info, dropped), "{}", info.path);
        if let Some(finding) = finding {
            assert_eq!(finding["differ"], json!([dropped.path]));
        }
    }
}

#[test]
fn records_that_cannot_be_read_are_named() {
    let paths = closure();
    let image = root_of(&paths);
    let directory = temporary::directory();
    let text = directory.path().join("text");
    let replace = |path: &str, content: &[u8]| {
        fs::write(&text, content).unwrap();
        debugfs(&image, &format!("rm {path}"));
        debugfs(&image, &format!("write {} {path}", text.display()));
        refusal(&mut nix2image("verify", &image), 1)
    };
    assert_eq!(
        replace("/nix-path-registration", b"/nix/store/x\n"),
        "cannot read what the image says of its store: cannot read /nix-path-registration in \
         the image: line 1 of the registration: \"x\" has no 32 characters of hash \
         and a dash before its name; a hash is written in 0-9 and a-z without e, o, t, u"
    );
    let line = replace("/nix/var/nix/db/db.sqlite", &[b'x'; 9000]);
    let words = "cannot read what the image says of its store: cannot open \
                 /nix/var/nix/db/db.sqlite of the image: ";
    assert!(line.starts_with(words), "{line}");
}

#[test]
fn what_stands_in_the_log_of_a_database_counts() {
    let paths = closure();
    let image = root_of(&paths);
    let directory = temporary::directory();
    let copy = directory.path().join("db.sqlite");
    let db = "/nix/var/nix/db/db.sqlite";
    debugfs(&image, &format!("dump {db} {}", copy.display()));
    // As it is while somebody has it open, or when he was killed.
    let script = format!(
        "pragma journal_mode = wal;\npragma wal_autocheckpoint = 0;\n\
         update ValidPaths set narSize = 1 where path = '{}';\n\
         .shell cp {copy} {copy}.open; cp {copy}-wal {copy}.open-wal\n",
        paths[0].path,
        copy = copy.display(),
    );
    let mut sqlite3 = Command::new("sqlite3");
    sqlite3.arg(&copy);
    let script_file = directory.path().join("script");
    fs::write(&script_file, script).unwrap();
    run(sqlite3.arg(format!(".read {}", script_file.display())));
    debugfs(&image, &format!("rm {db}"));
    debugfs(&image, &format!("write {}.open {db}", copy.display()));
    debugfs(
        &image,
        &format!("write {}.open-wal {db}-wal", copy.display()),
    );
    let found = findings(&image);
    let changed = found
        .iter()
        .find(|finding| finding["fault"] == "changed")
        .unwrap();
    assert_eq!(changed["path"], paths[0].path);
    assert_eq!(changed["expected"]["narSize"], 1);
}
