//! Two readers that share no code with us: every file read back, every checksum and
//! every hash derived again.

use nix2image::tree::Tree;

use crate::support::facts::{assert_same, expected};
use crate::support::image::Image;
use crate::support::readers::{
    ext4_view, give_times_that_ext4_view_reads, mkext4, visible_to_ext4_view, visible_to_mkext4,
};
use crate::support::sample::{directory, empty, everything, file, noise, put, roomy, tight};

#[test]
fn ext4_view_reads_every_file_back() {
    let mut tree = everything();
    give_times_that_ext4_view_reads(&mut tree);
    let expected = visible_to_ext4_view(expected(&tree));
    let image = Image::of(tree, &roomy());
    assert_same(&ext4_view(&image.path()), &expected, "ext4-view");
}

#[test]
fn mkext4_reads_every_file_back_and_agrees_with_every_checksum_and_hash() {
    let tree = everything();
    let expected = visible_to_mkext4(expected(&tree));
    let image = Image::of(tree, &roomy());
    assert_same(&mkext4(&image.path()), &expected, "mkext4");
}

#[test]
fn both_read_an_index_of_two_levels_and_files_across_groups() {
    let mut tree = empty();
    let crowd = put(&mut tree, Tree::ROOT, "crowd", directory());
    let mut shared = put(&mut tree, Tree::ROOT, "shared", file("shared"));
    for number in 0..12_000 {
        if number % 5000 == 0 {
            shared = put(&mut tree, Tree::ROOT, format!("shared {number}"), file("s"));
        }
        let name = crate::support::sample::name(format!("{number}-{}", "x".repeat(240)));
        tree.link(crowd, name, shared).unwrap();
    }
    put(&mut tree, Tree::ROOT, "large", file(noise(300_000_000, 1)));
    let expected = expected(&tree);
    let image = Image::of(tree, &tight());
    let found = ext4_view(&image.path());
    assert_same(&found, &visible_to_ext4_view(expected.clone()), "ext4-view");
    let found = mkext4(&image.path());
    assert_same(&found, &visible_to_mkext4(expected), "mkext4");
}
