//! The size of an image: no block more than is needed, and no less than is asked for.

use nix2image::ext4::Options;
use nix2image::tree::Tree;

use crate::support::image::{Image, number};
use crate::support::sample::{
    directory, empty, everything, file, noise, put, roomy, symlink, tight, tree_of,
};

const BLOCK: u64 = 4096;

/// Trees of many shapes.
fn trees() -> Vec<(&'static str, Tree)> {
    let mut wide = empty();
    for number in 0..3000 {
        put(
            &mut wide,
            Tree::ROOT,
            format!("{number}"),
            symlink([b'x'; 100]),
        );
    }
    let mut inodes = empty();
    let parent = put(&mut inodes, Tree::ROOT, "d", directory());
    for number in 0..30_000 {
        put(&mut inodes, parent, format!("{number}"), file(""));
    }
    vec![
        ("nothing", empty()),
        ("one file", tree_of([("a", file("a"))])),
        ("everything", everything()),
        ("many symlinks", wide),
        ("many inodes", inodes),
        ("200 MB", tree_of([("a", file(noise(200_000_000, 1)))])),
    ]
}

#[test]
fn nothing_is_left_free_unless_asked_for() {
    for (called, tree) in trees() {
        let image = Image::of(tree, &tight());
        let superblock = image.superblock();
        assert_eq!(number(&superblock, "Free blocks"), 0, "{called}");
    }
}

#[test]
fn an_image_has_as_many_bytes_as_its_filesystem_has_blocks() {
    for (called, tree) in trees() {
        let image = Image::of(tree, &roomy());
        let superblock = image.superblock();
        assert_eq!(
            image.size(),
            number(&superblock, "Block count") * BLOCK,
            "{called}"
        );
    }
}

#[test]
fn what_is_asked_for_is_left_free_to_the_block() {
    for (called, tree) in trees() {
        let image = Image::of(tree, &roomy());
        let superblock = image.superblock();
        let free = number(&superblock, "Free blocks") * BLOCK;
        assert_eq!(free, Options::DEFAULT_FREE_BYTES, "{called}");
        let free = number(&superblock, "Free inodes");
        assert!(free >= Options::DEFAULT_FREE_INODES.into(), "{called}");
    }
}

#[test]
fn an_image_grows_by_the_blocks_that_are_asked_for() {
    for free_blocks in [1, 2, 100, 30_000, 32_768, 100_000, 1_000_000] {
        let options = Options {
            free_bytes: free_blocks * BLOCK - 1,
            ..tight()
        };
        let image = Image::of(everything(), &options);
        let found = number(&image.superblock(), "Free blocks");
        assert_eq!(found, free_blocks);
    }
}
