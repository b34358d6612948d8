//! Filesystems of the host, each mounted for as long as some work lasts.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::command::run;
use super::mount::Mounted;
use super::temporary;

/// Of a loop device; what is not written takes nothing.
const DISK_BYTES: u64 = 4 << 30;

/// A filesystem that is mounted on the path while `work` runs there.
pub(crate) type HostFilesystem = fn(work: &mut dyn FnMut(&Path));

/// All that we test with, and what they are called.
pub(crate) const HOST_FILESYSTEMS: [(&str, HostFilesystem); 5] = [
    ("ext4", |work| on_a_loop_device("ext4", "-q", work)),
    ("XFS", |work| on_a_loop_device("xfs", "-q", work)),
    ("btrfs", |work| on_a_loop_device("btrfs", "-q", work)),
    ("tmpfs", |work| work(Mounted::tmpfs().root())),
    ("overlay", on_an_overlay),
];

/// On a new filesystem of `kind`, which `mkfs` makes with the `option`.
pub(crate) fn on_a_loop_device(kind: &str, option: &str, work: &mut dyn FnMut(&Path)) {
    let host = temporary::directory();
    let disk = host.path().join("disk");
    File::create_new(&disk)
        .unwrap()
        .set_len(DISK_BYTES)
        .unwrap();
    run(Command::new(format!("mkfs.{kind}")).arg(option).arg(&disk));
    work(Mounted::writable(kind, &disk).root());
}

/// With some files in the lower layer, and the others in the upper.
fn on_an_overlay(work: &mut dyn FnMut(&Path)) {
    let layers = Mounted::tmpfs();
    let lower = layers.root().join("lower");
    fs::create_dir_all(lower.join("source/crowd")).unwrap();
    fs::write(lower.join("source/crowd/entry 7"), "7").unwrap();
    fs::write(lower.join("source/crowd/entry 8"), "to be replaced").unwrap();
    for layer in ["upper", "work"] {
        fs::create_dir(layers.root().join(layer)).unwrap();
    }
    work(Mounted::overlay(layers.root()).root());
}
