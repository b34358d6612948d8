//! Templates and examples: each is there for a reader, and is built.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::markdown::Document;
use super::sessions::Desk;
use crate::support::command::run;
use crate::support::env;

/// The names of files or directories of the repository.
#[track_caller]
fn names(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(env::checkout().join(directory)).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_template_is_begun_in_a_document() {
    let documents = Document::of_users();
    let blocks = documents.iter().flat_map(|document| &document.blocks);
    let begun: BTreeSet<String> = blocks
        .flat_map(|block| block.text.lines())
        .filter(|line| line.starts_with("$ nix flake new "))
        .filter_map(|line| line.split_once(" -t nix2image"))
        .map(|(_before, name)| match name {
            // The default.
            "" => "ext4".into(),
            name => name.trim_start_matches('#').into(),
        })
        .collect();
    assert_eq!(begun, names("nix/templates"));
}

/// What the flake calls its packages for `system`, less the program itself.
#[track_caller]
fn packages(desk: &Desk, system: &str) -> BTreeSet<String> {
    let mut eval = desk.command("nix");
    eval.args(["eval", "--json", &format!("nix2image#packages.{system}")])
        .args(["--no-write-lock-file", "--apply", "builtins.attrNames"]);
    let found: Value = serde_json::from_str(&run(&mut eval)).unwrap();
    let found = found.as_array().unwrap().iter();
    let mut found: BTreeSet<String> = found.map(|name| name.as_str().unwrap().into()).collect();
    assert!(found.remove("default") && found.remove("nix2image"));
    found
}

#[test]
fn every_example_is_a_package_and_is_built() {
    let desk = Desk::new();
    let here = packages(&desk, "x86_64-linux");
    let there = packages(&desk, "aarch64-linux");
    let files: BTreeSet<String> = names("examples")
        .iter()
        .filter_map(|name| name.strip_suffix(".nix"))
        .filter(|name| *name != "default")
        .map(String::from)
        .collect();
    assert_eq!(&here | &there, files);
    let listed = fs::read_to_string(env::checkout().join("examples/README.md")).unwrap();
    for name in &files {
        assert!(
            listed.contains(&format!("| [{name}.nix]({name}.nix) |")),
            "{name}"
        );
    }

    let mut build = desk.command("nix");
    build.args(["build", "--no-write-lock-file"]);
    build.args(here.iter().map(|name| format!("nix2image#{name}")));
    run(&mut build);
    for name in &there - &here {
        let mut eval = desk.command("nix");
        let attribute = format!("nix2image#packages.aarch64-linux.{name}.drvPath");
        run(eval.args(["eval", "--raw", "--no-write-lock-file", &attribute]));
    }
}

#[test]
fn the_package_has_manual_pages_and_completions() {
    let desk = Desk::new();
    let mut build = desk.command("nix");
    run(build.args(["build", "--no-write-lock-file", "nix2image#nix2image"]));
    let package = desk.work().join("result");
    for path in [
        "bin/nix2image",
        "share/man/man1/nix2image.1",
        "share/bash-completion/completions/nix2image",
        "share/fish/vendor_completions.d/nix2image.fish",
        "share/zsh/site-functions/_nix2image",
    ] {
        assert!(package.join(path).is_file(), "{path}");
    }
}

#[test]
fn a_root_that_an_example_laid_is_a_root() {
    let desk = Desk::new();
    let mut build = desk.command("nix");
    run(build.args(["build", "--no-write-lock-file", "nix2image#root-directory"]));
    let root = desk.work().join("result");
    for path in ["etc/NIXOS", "nix/var/nix/db/db.sqlite", "nix/store"] {
        assert!(root.join(Path::new(path)).exists(), "{path}");
    }
}
