//! Ours beside that of mke2fs: what `dumpe2fs` prints of both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use nix2image::ext4::Options;
use nix2image::tree::Tree;

use crate::support::command::run;
use crate::support::image::{Image, number, superblock};
use crate::support::sample::{TIME, empty, everything, file, noise, put, roomy};
use crate::support::temporary;

/// What may differ, and why.
const MAY_DIFFER: [(&str, &str); 4] = [
    ("Checksum", "is that of all fields"),
    ("Free blocks", "are fewer beside files"),
    ("Free inodes", "are fewer beside files"),
    ("Lifetime writes", "is a statistic; nobody wrote to ours"),
];

/// A filesystem of mke2fs with the features, size and identity of the one that has
/// the superblock `ours`.
#[track_caller]
fn mke2fs(ours: &BTreeMap<String, String>, image: &Path) {
    const FOUR_TIB_IN_BLOCKS: u64 = 1 << 30;
    let journal_mib = (number(ours, "Total journal blocks") * 4096) >> 20;
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

/// Filesystems of one group and of many, with files and without. The larger ones are
/// mostly free, and so take no space here.
fn images() -> Vec<Image> {
    let with_free = |free_bytes| Options {
        free_bytes,
        ..roomy()
    };
    let mut large = empty();
    put(&mut large, Tree::ROOT, "large", file(noise(600_000_000, 1)));
    vec![
        Image::of(empty(), &roomy()),
        Image::of(everything(), &roomy()),
        Image::of(large, &roomy()),
        Image::of(everything(), &with_free(1 << 30)),
        Image::of(everything(), &with_free(5 << 30)),
        Image::of(empty(), &with_free(40 << 30)),
    ]
}

#[test]
fn superblocks_agree_field_by_field() {
    for image in images() {
        let ours = image.superblock();
        let directory = temporary::directory();
        let image = directory.path().join("theirs");
        mke2fs(&ours, &image);
        let theirs = superblock(&image);
        let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        let differences: Vec<_> = names
            .into_iter()
            .filter(|name| ours.get(*name) != theirs.get(*name))
            .filter(|name| !MAY_DIFFER.iter().any(|(may, _why)| may == name))
            .map(|name| {
                let [ours, theirs] = [&ours, &theirs].map(|fields| fields.get(name));
                format!("{name}: ours {ours:?}, theirs {theirs:?}")
            })
            .collect();
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
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

#[test]
fn groups_have_their_metadata_at_the_same_places() {
    for image in images() {
        let superblock = image.superblock();
        let directory = temporary::directory();
        let theirs = directory.path().join("theirs");
        mke2fs(&superblock, &theirs);
        // In the last flex group, mke2fs leaves room for groups that are not there.
        let count = number(&superblock, "Block count").div_ceil(32_768);
        let open = count - count % number(&superblock, "Flex block group size");
        let [ours, theirs] = [&image.path(), &theirs].map(|path| groups(path, open));
        assert!(ours.len() as u64 >= count);
        let differences: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).collect();
        assert!(differences.is_empty(), "{differences:#?}");
        assert_eq!(ours.len(), theirs.len());
    }
}
