//! `docs/migration.md` leaves out no argument of what it is about.

use std::fs;

use crate::support::env;

/// nixpkgs' `nixos/lib/make-system-tarball.nix`.
const TARBALL: [&str; 11] = [
    "stdenv",
    "closureInfo",
    "pixz",
    "fileName",
    "contents",
    "storeContents",
    "extraCommands",
    "extraArgs",
    "compressCommand",
    "compressionExtension",
    "extraInputs",
];

/// nixpkgs' `pkgs/by-name/ni/nixos-install/nixos-install.sh`, by the long names.
const INSTALL: [&str; 29] = [
    "--max-jobs",
    "--cores",
    "-I",
    "--substituters",
    "--option",
    "--root",
    "--system",
    "--closure",
    "--flake",
    "--file",
    "--attr",
    "--recreate-lock-file",
    "--no-update-lock-file",
    "--no-write-lock-file",
    "--no-registries",
    "--commit-lock-file",
    "--update-input",
    "--override-input",
    "--channel",
    "--no-channel-copy",
    "--no-root-password",
    "--no-root-passwd",
    "--no-bootloader",
    "--show-trace",
    "--impure",
    "--keep-going",
    "--debug",
    "--verbose",
    "--chroot",
];

/// The text under a heading, up to the next of its level.
#[track_caller]
fn section(document: &str, heading: &str) -> String {
    let text = fs::read_to_string(env::checkout().join(document)).unwrap();
    let (_, after) = text.split_once(&format!("\n{heading}\n")).unwrap();
    let level = heading.split(' ').next().unwrap();
    let end = after.find(&format!("\n{level} ")).unwrap_or(after.len());
    after[..end].to_owned()
}

/// What the first column of a table names: nixpkgs' arguments, as our document has them.
#[track_caller]
fn arguments(document: &str, heading: &str) -> Vec<String> {
    let section = section(document, heading);
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split("`, `"));
    let names: Vec<String> = names
        .map(|name| name.trim_end_matches('`').into())
        .collect();
    assert!(!names.is_empty(), "{document}: {heading}");
    names
}

#[track_caller]
fn speaks_of(heading: &str, names: &[String]) {
    let section = section("docs/migration.md", heading);
    for name in names {
        let is_there = [format!("`{name}`"), format!("`{name} ")]
            .iter()
            .any(|words| section.contains(words));
        assert!(is_there, "{heading} says nothing of {name}");
    }
}

#[test]
fn every_argument_of_nixpkgs_is_spoken_of() {
    for (heading, document, table) in [
        (
            "## `make-ext4-fs.nix`",
            "docs/make-ext4-fs.md",
            "### nixpkgs'",
        ),
        ("## `sd-image.nix`", "docs/make-sd-image.md", "### nixpkgs'"),
        (
            "## `make-disk-image.nix`",
            "docs/make-disk-image.md",
            "### nixpkgs'",
        ),
        (
            "## `amazon-image.nix`",
            "docs/make-amazon-image.md",
            "## Arguments",
        ),
    ] {
        speaks_of(heading, &arguments(document, table));
    }
    speaks_of("## `make-system-tarball.nix`", &TARBALL.map(String::from));
    speaks_of("## `nixos-install`", &INSTALL.map(String::from));
}
