//! Ours beside that of mke2fs: what `dumpe2fs` prints of both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use nix2image::ext4::{Features, Options};
use nix2image::tree::Tree;

use crate::support::command::run;
use crate::support::image::{Image, number, superblock};
use crate::support::profiles::{feature_sets, profiles};
use crate::support::sample::{TIME, empty, everything, file, noise, put, roomy};
use crate::support::temporary;

/// What may differ, and why.
const MAY_DIFFER: [(&str, &str); 5] = [
    ("Checksum", "is that of all fields"),
    ("Free blocks", "are fewer beside files"),
    ("Free inodes", "are fewer beside files"),
    ("Orphan file inode", "follows those of the files"),
    ("Lifetime writes", "is a statistic; nobody wrote to ours"),
];

/// A filesystem of mke2fs with the features, size and identity of the one that has
/// the superblock `ours`.
#[track_caller]
fn mke2fs(ours: &BTreeMap<String, String>, image: &Path) {
    const FOUR_TIB_IN_BLOCKS: u64 = 1 << 30;
    let features = &ours["Filesystem features"];
    let resize = if features.contains("resize_inode") {
        format!(",resize={FOUR_TIB_IN_BLOCKS}")
    } else {
        String::new()
    };
    let extended = format!(
        "lazy_itable_init=1,hash_seed={}{resize}",
        ours["Directory Hash Seed"]
    );
    let mut command = Command::new("mke2fs");
    command
        .env("E2FSPROGS_FAKE_TIME", TIME.to_string())
        .args(["-q", "-F", "-t", "ext4", "-T", "ext4"])
        .args(["-b", "4096", "-I", "256"])
        .args(["-O", &format!("none,{}", features.replace(' ', ","))])
        .args(["-L", &ours["Filesystem volume name"]])
        .args(["-U", &ours["Filesystem UUID"]])
        .args(["-N", &ours["Inode count"]]);
    if features.contains("has_journal") {
        let journal_mib = (number(ours, "Total journal blocks") * 4096) >> 20;
        command.args(["-J", &format!("size={journal_mib}")]);
    }
    run(command
        .args(["-E", &extended])
        .arg(image)
        .arg(&ours["Block count"]));
}

/// Filesystems of one group and of many, with files and without, in every profile; and
/// of many groups with every set of features. The larger ones are mostly free, and so
/// take no space here.
fn images() -> Vec<(String, Image)> {
    let with_free = |features: &Features, free_bytes| Options {
        features: features.clone(),
        free_bytes,
        ..roomy()
    };
    let default = Features::default_profile();
    let mut large = empty();
    put(&mut large, Tree::ROOT, "large", file(noise(600_000_000, 1)));
    let mut images = vec![
        ("large".to_owned(), Image::of(large, &roomy())),
        (
            "40 GiB".to_owned(),
            Image::of(empty(), &with_free(&default, 40 << 30)),
        ),
    ];
    for (called, features) in profiles() {
        // With less free, mke2fs finds the journal too large.
        for free_bytes in [Options::DEFAULT_FREE_BYTES, 1 << 30] {
            for tree in [empty(), everything()] {
                let image = Image::of(tree, &with_free(&features, free_bytes));
                images.push((format!("{called}, {free_bytes} bytes free"), image));
            }
        }
    }
    for (called, features) in feature_sets() {
        let image = Image::of(everything(), &with_free(&features, 5 << 30));
        images.push((called, image));
    }
    images
}

#[test]
fn superblocks_and_groups_agree_with_those_of_mke2fs() {
    let differences: Vec<_> = images()
        .iter()
        .flat_map(|(called, image)| {
            let ours = image.superblock();
            let directory = temporary::directory();
            let path = directory.path().join("theirs");
            mke2fs(&ours, &path);
            [
                superblock_differences(&ours, &superblock(&path)),
                group_differences(&ours, &image.path(), &path),
            ]
            .concat()
            .into_iter()
            .map(move |difference| format!("{called}: {difference}"))
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn superblock_differences(
    ours: &BTreeMap<String, String>,
    theirs: &BTreeMap<String, String>,
) -> Vec<String> {
    let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    names
        .into_iter()
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .filter(|name| !MAY_DIFFER.iter().any(|(may, _why)| may == name))
        .map(|name| {
            let [ours, theirs] = [&ours, &theirs].map(|fields| fields.get(name));
            format!("{name}: ours {ours:?}, theirs {theirs:?}")
        })
        .collect()
}

/// Where `dumpe2fs` sees the metadata of groups, but of groups from `open` on not the
/// bitmaps and inode tables.
fn groups(image: &Path, open: u64) -> Vec<String> {
    let report = run(Command::new("dumpe2fs").arg(image));
    let mut group = 0;
    let mut found = Vec::new();
    for line in report
        .lines()
        .skip_while(|line| !line.starts_with("Group 0:"))
    {
        let line = line.trim();
        if let Some((number, _)) = line.strip_prefix("Group ").and_then(|l| l.split_once(':')) {
            group = number.parse().unwrap();
        }
        // What is free, and the checksums and flags that follow from it, depend on the
        // content.
        let is_free = line.starts_with("Free ") || line.contains(" free blocks, ");
        let is_packed = line.contains(" bitmap at ") || line.starts_with("Inode table at ");
        let is_compared = !is_free && (!is_packed || group < open);
        if is_compared {
            found.push(line.split(" csum ").next().unwrap_or(line).to_owned());
        }
    }
    found
}

fn group_differences(
    superblock: &BTreeMap<String, String>,
    ours: &Path,
    theirs: &Path,
) -> Vec<String> {
    // In the last flex group, mke2fs leaves room for groups that are not there.
    let count = number(superblock, "Block count").div_ceil(32_768);
    let flex = superblock
        .get("Flex block group size")
        .map_or(1, |size| size.parse().unwrap());
    let open = count - count % flex;
    let [ours, theirs] = [ours, theirs].map(|path| groups(path, open));
    assert!(ours.len() as u64 >= count);
    let mut differences: Vec<_> = ours
        .iter()
        .zip(&theirs)
        .filter(|(ours, theirs)| ours != theirs)
        .map(|(ours, theirs)| format!("ours {ours:?}, theirs {theirs:?}"))
        .collect();
    if ours.len() != theirs.len() {
        differences.push(format!("{} lines, {}", ours.len(), theirs.len()));
    }
    differences
}
