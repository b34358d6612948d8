//! The first boot on a larger disk: Linux grows the mounted filesystem, in a machine
//! of QEMU's, first to 64 GiB and then to 1 TiB.

use std::fs::{self, File};
use std::process::Command;

use nix2image::ext4::{Features, Options};
use nix2image::tree::Tree;
use sha2::{Digest as _, Sha256};

use crate::support::command::run;
use crate::support::env;
use crate::support::facts::{assert_same, expected};
use crate::support::flash::flash;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::image::{Image, number};
use crate::support::initrd::Initrd;
use crate::support::qemu::{DISK_MODULES, Machine};
use crate::support::readers;
use crate::support::sample::{everything, file, noise, put, roomy};
use crate::support::system::program;

#[test]
fn the_default_profile_grows_from_one_group() {
    grows(&roomy());
}

#[test]
fn the_modern_profile_grows_from_an_odd_size() {
    grows(&Options {
        features: Features::modern(),
        size: Some((700 << 20) + 3 * 4096),
        ..roomy()
    });
}

#[test]
fn the_legacy_uboot_profile_grows() {
    grows(&Options {
        features: Features::legacy_uboot(),
        ..roomy()
    });
}

/// Fails unless an image of `options` grows, keeping its files and its shape. Its disk has had
/// other bytes before, and has them where the image has holes.
#[track_caller]
fn grows(options: &Options) {
    const DISK_BYTES: u64 = 1 << 40;
    let mut tree = everything();
    let large = noise(300_001, 1);
    put(&mut tree, Tree::ROOT, "large", file(&large));
    let mut expected = expected(&tree);
    let image = Image::of(tree, options);
    let before = image.superblock();
    let disk = image.path().with_file_name("disk");
    flash(&image.path(), &disk);
    fs::rename(&disk, image.path()).unwrap();
    File::options()
        .write(true)
        .open(image.path())
        .unwrap()
        .set_len(DISK_BYTES)
        .unwrap();

    let initrd = image.path().with_file_name("initrd");
    fs::write(&initrd, self::initrd(&large)).unwrap();
    let console = Machine::boot_linux(&initrd, &image.path());
    for line in [
        "on-line resizing required",
        "The filesystem on /dev/vda is now 16777216 (4k) blocks long.",
        "The filesystem on /dev/vda is now 268435456 (4k) blocks long.",
        "\nall done",
    ] {
        assert!(console.contains(line), "{line:?}:\n{console}");
    }

    e2fsck_is_silent(&image.path());
    // The machine wrote beside what was there; the root alone is another now.
    expected.remove(&b""[..]);
    let mut found = readers::kernel(&image.path());
    found.retain(|path, _| expected.contains_key(path));
    assert_same(&found, &expected, "the kernel, after growth,");

    let after = image.superblock();
    assert_eq!(number(&after, "Block count"), DISK_BYTES / 4096);
    assert_eq!(
        before["Filesystem features"], after["Filesystem features"],
        "the resize inode stays, meta_bg does not come"
    );
    assert!(after["Filesystem features"].contains("resize_inode"));
    assert!(!after["Filesystem features"].contains("meta_bg"));
    assert_eq!(after["Filesystem state"], "clean");
    let inode_ratio = DISK_BYTES / number(&after, "Inode count");
    assert!(
        (8 << 10..=16 << 10).contains(&inode_ratio),
        "{inode_ratio} bytes of disk for each inode"
    );
}

/// The machine's own files: the script, what it runs, and the SHA-256 of `large`.
fn initrd(large: &[u8]) -> Vec<u8> {
    let mut initrd = Initrd::default();
    for directory in ["bin", "dev", "disk", "modules", "proc"] {
        initrd.directory(directory);
    }
    initrd.file("init", include_bytes!("growth/init.sh"));
    let sum = data_encoding::HEXLOWER.encode(&Sha256::digest(large));
    initrd.file("sums", format!("{sum}  large\n").as_bytes());
    let busybox = program("busybox");
    initrd.file("bin/busybox", &fs::read(busybox).unwrap());
    let resize2fs = program("resize2fs");
    initrd.file("bin/resize2fs", &fs::read(&resize2fs).unwrap());
    let libraries = run(Command::new("ldd").arg(&resize2fs));
    for library in libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let mut at = String::new();
        let (directory, _) = library.rsplit_once('/').expect("it begins with one");
        for component in directory.split('/').skip(1) {
            at = format!("{at}/{component}");
            initrd.directory(&at[1..]);
        }
        initrd.file(&library[1..], &fs::read(library).unwrap());
    }
    for module in DISK_MODULES {
        let module = format!("{module}.ko");
        let content = fs::read(env::kernel().join(&module)).unwrap();
        initrd.file(&format!("modules/{module}"), &content);
    }
    initrd.finish()
}
