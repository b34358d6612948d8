//! Writing an image to a disk by its data alone, as `bmaptool` does: what the image
//! has no block for stays as the disk had it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::command::run;
use crate::support::flash::flash;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::image::Image;
use crate::support::sample::{everything, roomy};
use crate::support::temporary;
use crate::support::{facts, readers};

/// Blocks of a group.
const BLOCKS_PER_GROUP: u64 = 32_768;

/// The blocks that an inode maps.
fn blocks(image: &Path, inode: &str) -> Vec<u64> {
    let request = format!("blocks {inode}");
    run(Command::new("debugfs").args(["-R", &request]).arg(image))
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}

fn block(file: &Path, number: u64) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let file = File::open(file).unwrap();
    file.read_exact_at(&mut bytes, number * 4096).unwrap();
    bytes
}

#[test]
fn the_data_of_an_image_alone_makes_the_filesystem_on_any_disk() {
    let mut tree = everything();
    let zeros = crate::support::sample::file(vec![0; 10 << 20]);
    crate::support::sample::put(&mut tree, nix2image::tree::Tree::ROOT, "zeros", zeros);
    let expected = facts::expected(&tree);
    let image = Image::of(tree, &roomy());
    let directory = temporary::directory();
    let disk = directory.path().join("disk");
    let copied = flash(&image.path(), &disk);
    assert!(
        copied < image.size() / 2 + (16 << 20),
        "{copied} bytes of {} are data",
        image.size()
    );
    e2fsck_is_silent(&disk);
    // The journal is zeros, which no reader misses before the kernel recovers from it. Of what is
    // kept for growth the first group's blocks say where the copies of each are.
    for (inode, end) in [("<7>", BLOCKS_PER_GROUP), ("<8>", u64::MAX)] {
        let mut blocks = blocks(&image.path(), inode);
        blocks.retain(|number| *number < end);
        assert!(blocks.len() > 500, "{inode} has {} blocks", blocks.len());
        for number in blocks {
            let [image, disk] = [&image.path(), &disk].map(|file| block(file, number));
            assert!(
                image == disk,
                "block {number} of inode {inode} is not there"
            );
        }
    }
    facts::assert_same(&readers::kernel(&disk), &expected, "the kernel");
    assert_eq!(readers::mkext4(&disk).len(), expected.len());
}
