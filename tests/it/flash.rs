//! Writing an image to a disk by its data alone, as `bmaptool` does: what the image
//! has no block for stays as the disk had it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::support::command::run;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::image::Image;
use crate::support::sample::{everything, roomy};
use crate::support::temporary;
use crate::support::{facts, readers};

/// Copies the data of `image` onto a disk of its size that is full of something
/// else; gives the bytes that were copied.
fn flash(image: &Path, disk: &Path) -> u64 {
    const PIECE: usize = 1 << 20;
    let image = File::open(image).unwrap();
    let size = image.metadata().unwrap().len();
    let disk = File::create_new(disk).unwrap();
    for start in (0..size).step_by(PIECE) {
        let length = (size - start).min(PIECE as u64);
        let noise = vec![0xa5; usize::try_from(length).unwrap()];
        disk.write_all_at(&noise, start).unwrap();
    }
    let mut copied = 0;
    let mut at = 0;
    loop {
        let start = match seek(&image, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return copied,
            Err(error) => panic!("{error}"),
        };
        let end = seek(&image, SeekFrom::Hole(start)).unwrap();
        let mut data = vec![0; usize::try_from(end - start).unwrap()];
        image.read_exact_at(&mut data, start).unwrap();
        disk.write_all_at(&data, start).unwrap();
        copied += end - start;
        at = end;
    }
}

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
    // The journal is zeros, which no reader misses before the kernel recovers from it.
    for inode in ["<7>", "<8>"] {
        let blocks = blocks(&image.path(), inode);
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
