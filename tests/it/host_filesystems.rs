//! The filesystem of the host, under the store and under the output, is not to be
//! seen in an image.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use nix2image::image;
use nix2image::job::Job;
use nix2image::tree::Timestamp;
use nix2image::{ext4, sparse, store};
use sha2::{Digest as _, Sha256};

use crate::support::host_filesystem::HOST_FILESYSTEMS;
use crate::support::sample::{noise, roomy};

#[test]
fn every_host_filesystem_gives_the_same_image() {
    let mut digests = BTreeSet::new();
    for (called, filesystem) in HOST_FILESYSTEMS {
        for zeros in [Zeros::Hole, Zeros::Written] {
            filesystem(&mut |directory| {
                make_store_path(&directory.join("source"), zeros);
                for is_sparse in [false, true] {
                    let digest = digest(directory, is_sparse);
                    digests.insert((is_sparse, digest));
                    assert_eq!(
                        digests.iter().filter(|(of, _)| *of == is_sparse).count(),
                        1,
                        "{called} differs from those before, with its zeros {zeros:?}"
                    );
                }
            });
        }
    }
    assert_eq!(digests.len(), 2, "holes of the image are its content");
}

/// What the host keeps of a file's zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zeros {
    /// No blocks, as a store path that was just built may have it.
    Hole,
    /// Blocks, as the same has after an import; and all else in another order.
    Written,
}

/// The same store path for a NAR, whatever `zeros`.
fn make_store_path(source: &Path, zeros: Zeros) {
    const LENGTH: u64 = (6 << 20) + 5;
    fs::create_dir_all(source.join("bin")).unwrap();
    let file = File::create_new(source.join("zeros and data")).unwrap();
    if zeros == Zeros::Written {
        file.write_all_at(&vec![0; usize::try_from(LENGTH).unwrap()], 0)
            .unwrap();
    }
    file.set_len(LENGTH).unwrap();
    file.write_all_at(&noise(10_000, 1), 3 << 20).unwrap();
    drop(file);

    let crowd = source.join("crowd");
    fs::create_dir_all(&crowd).unwrap();
    let mut numbers: Vec<u32> = (0..2000).collect();
    if zeros == Zeros::Written {
        numbers.reverse();
    }
    for number in numbers {
        fs::write(crowd.join(format!("entry {number}")), format!("{number}")).unwrap();
    }
    for length in [0, 1, 100, 4096, 5000, 1 << 20] {
        fs::write(source.join(format!("{length}")), noise(length, 2)).unwrap();
    }
    // XFS and btrfs take these bytes too.
    fs::write(source.join(OsStr::from_bytes(b"\xff\n\xfe")), "name").unwrap();
    let program = source.join("bin/program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o555)).unwrap();
    symlink("bin/program", source.join("link")).unwrap();
    symlink("x".repeat(1000), source.join("long link")).unwrap();
}

/// Of the image of `source` in `directory`, which is written there too.
#[track_caller]
fn digest(directory: &Path, is_sparse: bool) -> String {
    let mut tree = store::scan(&directory.join("source"), Timestamp::from_seconds(1)).unwrap();
    if is_sparse {
        sparse::find_data(&mut tree, &AtomicBool::new(false)).unwrap();
    }
    let pieces = ext4::lay_out(tree, &roomy()).unwrap();
    let path = directory.join("image");
    let file = File::create_new(&path).unwrap();
    image::write(&pieces, &file, &Job::default()).unwrap();
    drop(file);
    let mut hash = Sha256::new();
    hash.update(fs::read(&path).unwrap());
    fs::remove_file(&path).unwrap();
    data_encoding::HEXLOWER.encode(&hash.finalize())
}
