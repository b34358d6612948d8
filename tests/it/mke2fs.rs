//! Ours beside that of mke2fs: what `dumpe2fs` prints of both.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use nix2image::tree::Tree;

use crate::support::command::run;
use crate::support::image::{Image, number, superblock};
use crate::support::sample::{TIME, empty, everything, file, noise, put, roomy, tight};
use crate::support::temporary;

/// What may differ, and why.
const MAY_DIFFER: [(&str, &str); 0] = [];

/// A filesystem of mke2fs with the features, size and identity of the one that has
/// the superblock `ours`.
#[track_caller]
fn mke2fs(ours: &BTreeMap<String, String>, image: &Path) {
    const FOUR_TIB_IN_BLOCKS: u64 = 1 << 30;
    let journal_mib = number(ours, "Total journal blocks") * 4096 >> 20;
    let extended = format!(
        "lazy_itable_init=1,resize={FOUR_TIB_IN_BLOCKS},hash_seed={}",
        ours["Directory Hash Seed"]
    );
    run(Command::new("mke2fs")
        .env("E2FSPROGS_FAKE_TIME", TIME.to_string())
        .args([
            "-q", "-F", "-t", "ext4", "-T", "ext4", "-b", "4096", "-I", "256",
        ])
        .args(["-O", "^metadata_csum_seed,^orphan_file"])
        .args(["-L", &ours["Filesystem volume name"]])
        .args(["-U", &ours["Filesystem UUID"]])
        .args(["-N", &ours["Inode count"]])
        .args(["-J", &format!("size={journal_mib}")])
        .args(["-E", &extended])
        .arg(image)
        .arg(&ours["Block count"]));
}

#[test]
fn superblocks_agree_field_by_field() {
    let mut large = empty();
    put(&mut large, Tree::ROOT, "large", file(noise(600_000_000, 1)));
    for (tree, options) in [
        (empty(), roomy()),
        (everything(), tight()),
        (everything(), roomy()),
        (large, roomy()),
    ] {
        let ours = Image::of(tree, &options).superblock();
        let directory = temporary::directory();
        let image = directory.path().join("theirs");
        mke2fs(&ours, &image);
        let theirs = superblock(&image);
        let names: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        let differences: Vec<_> = names
            .into_iter()
            .filter(|name| ours.get(*name) != theirs.get(*name))
            .filter(|name| !MAY_DIFFER.iter().any(|(may, _why)| may == name))
            .map(|name| {
                format!(
                    "{name}: ours {:?}, theirs {:?}",
                    ours.get(name),
                    theirs.get(name)
                )
            })
            .collect();
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}

/// Where `dumpe2fs` sees the metadata of groups.
fn groups(image: &Path) -> Vec<String> {
    run(Command::new("dumpe2fs").arg(image))
        .lines()
        .skip_while(|line| !line.starts_with("Group 0:"))
        .map(|line| {
            // Checksums, flags and what is free depend on the content.
            let line = line.split(" csum ").next().unwrap_or(line);
            line.split(", csum")
                .next()
                .unwrap_or(line)
                .trim()
                .to_owned()
        })
        .filter(|line| !line.starts_with("Free ") && !line.contains(" free blocks, "))
        .collect()
}

#[test]
fn groups_have_their_metadata_at_the_same_places() {
    let mut large = empty();
    put(&mut large, Tree::ROOT, "large", file(noise(600_000_000, 1)));
    let ours = Image::of(large, &roomy());
    let directory = temporary::directory();
    let theirs = directory.path().join("theirs");
    mke2fs(&ours.superblock(), &theirs);
    assert_eq!(groups(&ours.path()), groups(&theirs));
}
