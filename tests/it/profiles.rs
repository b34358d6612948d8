//! Every profile, and every feature turned on or off: what e2fsck, the kernel and two
//! other readers see of the same tree.

use nix2image::ext4::{Features, Options};
use nix2image::tree::Tree;

use crate::support::facts::{Facts, assert_same, expected};
use crate::support::image::Image;
use crate::support::profiles::{feature_sets, profiles};
use crate::support::readers::{
    ext4_view, give_times_that_ext4_view_reads, kernel, mkext4, mkext4_reads, visible_to_ext4_view,
    visible_to_mkext4,
};
use crate::support::sample::{directory, everything, file, name, put, roomy};

/// Everything, with a directory of `entries` names, at times that all readers read.
fn tree(entries: usize) -> Tree {
    let mut tree = everything();
    let crowd = put(&mut tree, Tree::ROOT, "crowd", directory());
    let linked = put(&mut tree, Tree::ROOT, "linked", file("one of many names"));
    for number in 0..entries {
        tree.link(crowd, name(format!("{number:x}")), linked)
            .unwrap();
    }
    give_times_that_ext4_view_reads(&mut tree);
    tree
}

/// Fails unless every reader that can sees the image as `expected`.
#[track_caller]
fn all_readers_agree(image: &Image, features: &Features, expected: &Facts, called: &str) {
    let path = image.path();
    let by = |reader| format!("{called}: {reader}");
    assert_same(&kernel(&path), expected, &by("the kernel"));
    let visible = visible_to_ext4_view(expected.clone());
    assert_same(&ext4_view(&path), &visible, &by("ext4-view"));
    if mkext4_reads(features) {
        let visible = visible_to_mkext4(expected.clone());
        assert_same(&mkext4(&path), &visible, &by("mkext4"));
    }
}

/// With free space for a second flex group: there are groups whose tables nobody wrote.
#[test]
fn every_feature_set_is_read_by_all() {
    let tree = tree(3000);
    let expected = expected(&tree);
    for (called, features) in feature_sets() {
        let options = Options {
            features,
            free_bytes: (2 << 30) + (300 << 20),
            ..roomy()
        };
        let image = Image::of(tree.clone(), &options);
        all_readers_agree(&image, &options.features, &expected, &called);
    }
}

#[test]
fn directories_of_20_000_entries_are_read_by_all_in_every_profile() {
    let tree = tree(20_000);
    let expected = expected(&tree);
    for (called, features) in profiles() {
        let options = Options {
            features,
            free_bytes: 5 << 30,
            ..roomy()
        };
        let image = Image::of(tree.clone(), &options);
        all_readers_agree(&image, &options.features, &expected, &called);
    }
}

/// Only the features that were asked for are there.
#[test]
fn a_superblock_has_the_features_that_were_asked_for() {
    for (called, features) in feature_sets() {
        let asked = features.to_string();
        let options = Options {
            features,
            ..roomy()
        };
        let image = Image::of(tree(10), &options);
        let found = image.superblock()["Filesystem features"].clone();
        assert_eq!(found, asked, "{called}");
    }
}
