//! Everything that a reader sees of an image.

mod in_process;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

pub(crate) use in_process::{
    ext4_view, give_times_that_ext4_view_reads, mkext4, mkext4_reads, visible_to_ext4_view,
    visible_to_mkext4,
};
use nix2image::tree::Timestamp;

use super::facts::{Fact, Facts, Fingerprint, What, with_first_names};
use super::mount::Mounted;

/// What the kernel sees of `image`.
#[track_caller]
pub(crate) fn kernel(image: &Path) -> Facts {
    let mounted = Mounted::read_only(image);
    directory(mounted.root())
}

/// What the kernel sees from the directory `root` on.
#[track_caller]
pub(crate) fn directory(root: &Path) -> Facts {
    let mut found = BTreeMap::new();
    let mut open = vec![Vec::new()];
    while let Some(path) = open.pop() {
        let full = root.join(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(&path)));
        let stat = fs::symlink_metadata(&full).unwrap();
        if stat.is_dir() {
            for entry in fs::read_dir(&full).unwrap() {
                let name = entry.unwrap().file_name();
                open.push([&path, &b"/"[..], name.as_bytes()].concat());
            }
        }
        found.insert(path, (stat.ino(), host_fact(&full, &stat)));
    }
    with_first_names(found)
}

fn host_fact(path: &Path, stat: &fs::Metadata) -> Fact {
    let file_type = stat.file_type();
    let device = || {
        let number = stat.rdev();
        Some((rustix::fs::major(number), rustix::fs::minor(number)))
    };
    let what = if file_type.is_dir() {
        What::Directory
    } else if file_type.is_file() {
        What::File(Fingerprint::of_file(File::open(path).unwrap()))
    } else if file_type.is_symlink() {
        What::Symlink(fs::read_link(path).unwrap().into_os_string().into_vec())
    } else if file_type.is_char_device() {
        What::CharacterDevice(device())
    } else if file_type.is_block_device() {
        What::BlockDevice(device())
    } else {
        assert!(file_type.is_fifo(), "{} is {file_type:?}", path.display());
        What::Fifo
    };
    let xattrs = xattr::list(path).unwrap().map(|name| {
        let value = xattr::get(path, &name).unwrap().unwrap();
        (name.into_vec().into(), value.into())
    });
    Fact {
        what,
        mode: u16::try_from(stat.mode() & 0o7777).unwrap(),
        uid: stat.uid(),
        gid: stat.gid(),
        mtime: Timestamp {
            seconds: stat.mtime(),
            nanoseconds: stat.mtime_nsec().try_into().unwrap(),
        },
        links: Some(stat.nlink()),
        first_name: None,
        xattrs: Some(xattrs.collect()),
    }
}
