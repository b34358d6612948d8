//! The readers that are crates: they need no mount, and so the fuzz targets use them too.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use ext4_view::Ext4;
use mkext4::reader::Fs;
use mkext4::spec::inode::FileType;
use nix2image::ext4::{Feature, Features};
use nix2image::tree::{Timestamp, Tree, Xattrs};

use crate::support::facts::{Fact, Facts, Fingerprint, What, with_first_names};

/// What ext4-view sees of `image`; it checks checksums as it reads, and does not
/// tell device numbers, link counts and extended attributes.
#[track_caller]
pub(crate) fn ext4_view(image: &Path) -> Facts {
    let filesystem = Ext4::load_from_path(image).unwrap();
    let mut facts = Facts::new();
    let mut open = vec![Vec::new()];
    while let Some(path) = open.pop() {
        let full = if path.is_empty() { b"/" } else { &path[..] };
        let metadata = filesystem.symlink_metadata(full).unwrap();
        if metadata.is_dir() {
            for entry in filesystem.read_dir(full).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name();
                if !matches!(name.as_ref(), b"." | b"..") {
                    open.push([&path, &b"/"[..], name.as_ref()].concat());
                }
            }
        }
        let fact = ext4_view_fact(&filesystem, full, &metadata);
        facts.insert(path, fact);
    }
    facts
}

fn ext4_view_fact(filesystem: &Ext4, path: &[u8], metadata: &ext4_view::Metadata) -> Fact {
    use ext4_view::FileType;
    let mtime = metadata.modified();
    Fact {
        what: match metadata.file_type() {
            FileType::Directory => What::Directory,
            FileType::Regular => What::File(Fingerprint::of(&filesystem.read(path).unwrap())),
            FileType::Symlink => {
                let target = filesystem.read_link(path);
                What::Symlink(target.map_or(Vec::new(), |target| target.as_ref().to_vec()))
            }
            FileType::CharacterDevice => What::CharacterDevice(None),
            FileType::BlockDevice => What::BlockDevice(None),
            FileType::Fifo => What::Fifo,
            FileType::Socket => panic!("{} is a socket", path.escape_ascii()),
        },
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: Timestamp {
            seconds: mtime.seconds(),
            nanoseconds: mtime.nanoseconds(),
        },
        links: None,
        first_name: None,
        xattrs: None,
    }
}

/// What ext4-view can see of `facts`. A target that is no path, because a part of it
/// is longer than a name, is an error to it, though not to the kernel.
pub(crate) fn visible_to_ext4_view(mut facts: Facts) -> Facts {
    for fact in facts.values_mut() {
        if let What::Symlink(target) = &mut fact.what
            && ext4_view::Path::try_from(&target[..]).is_err()
        {
            target.clear();
        }
        fact.links = None;
        fact.first_name = None;
        fact.xattrs = None;
        if let What::CharacterDevice(number) | What::BlockDevice(number) = &mut fact.what {
            *number = None;
        }
    }
    facts
}

/// Moves the times that are an error to ext4-view 1.0: those whose 32 lower bits are
/// a negative number (before 1970, from 2038 to 2106, and so on).
pub(crate) fn give_times_that_ext4_view_reads(tree: &mut Tree) {
    for node in tree.nodes_mut() {
        let seconds = &mut node.metadata.mtime.seconds;
        if *seconds & (1 << 31) != 0 {
            *seconds += 1 << 31;
        }
    }
}

/// What mkext4's reader sees of `image`, in which it finds no checksum or htree hash
/// that it would not have made itself. Access control lists it leaves as they are on
/// disk, and so we leave them out.
#[track_caller]
pub(crate) fn mkext4(image: &Path) -> Facts {
    let filesystem = Fs::open(File::open(image).unwrap()).unwrap();
    let mut issues = filesystem.verify().unwrap();
    issues.retain(|issue| !is_wrongly_raised(&issue.what));
    assert_eq!(issues, [], "mkext4 finds no fault");
    let mut found = BTreeMap::new();
    let mut open = vec![(Vec::new(), mkext4::spec::ROOT_INO)];
    while let Some((path, number)) = open.pop() {
        let fact = mkext4_fact(&filesystem, number);
        if fact.what == What::Directory {
            for entry in filesystem.read_dir(number).unwrap() {
                if !matches!(&entry.name[..], b"." | b"..") && entry.inode != 0 {
                    open.push(([&path, &b"/"[..], &entry.name].concat(), entry.inode));
                }
            }
        }
        found.insert(path, (number.into(), fact));
    }
    with_first_names(found)
}

/// Whether mkext4 0.0.3 reads a filesystem of these features: without checksums, it
/// takes the room of theirs in a directory's index for a fault.
pub(crate) fn mkext4_reads(features: &Features) -> bool {
    features.has(Feature::MetadataCsum)
}

/// Where mkext4 0.0.3 knows less than e2fsck and the kernel, which check these too.
fn is_wrongly_raised(issue: &str) -> bool {
    // It takes the checksum over 32 bytes of a descriptor, which has 64 with `64bit`.
    let is_of_descriptor = issue.starts_with("group ") && issue.contains(": desc checksum ");
    // Reserved inodes without a use are all zeros, which has no checksum: 7 without
    // `resize_inode` and 8 without `has_journal` too. e2fsck knows when they have one.
    let is_of_unused_inode = [1, 3, 4, 5, 6, 7, 8, 9, 10].iter().any(|number| {
        issue.starts_with(&format!("inode {number}: corrupt inode: "))
            && issue.ends_with("!= stored 0x0")
    });
    is_of_descriptor || is_of_unused_inode
}

fn mkext4_fact(filesystem: &Fs<File>, number: u32) -> Fact {
    let inode = filesystem.inode(number).unwrap();
    let xattrs = filesystem.xattrs(number).unwrap().into_iter();
    let xattrs = xattrs.filter(|xattr| !is_acl(&xattr.full_name().unwrap()));
    let xattrs: Xattrs = xattrs
        .map(|xattr| (xattr.full_name().unwrap().into(), xattr.value.into()))
        .collect();
    Fact {
        what: match inode.file_type() {
            FileType::Dir => What::Directory,
            FileType::Regular => {
                What::File(Fingerprint::of(&filesystem.read_file(number).unwrap()))
            }
            FileType::Symlink => What::Symlink(filesystem.symlink_target(number).unwrap()),
            FileType::CharDev => What::CharacterDevice(Some(device_number(&inode.block))),
            FileType::BlockDev => What::BlockDevice(Some(device_number(&inode.block))),
            FileType::Fifo => What::Fifo,
            other => panic!("inode {number} is {other:?}"),
        },
        mode: inode.mode & 0o7777,
        uid: inode.uid,
        gid: inode.gid,
        mtime: Timestamp {
            seconds: i64::from(inode.mtime.cast_signed())
                + (i64::from(inode.mtime_extra & 3) << 32),
            nanoseconds: inode.mtime_extra >> 2,
        },
        links: Some(inode.links_count.into()),
        first_name: None,
        xattrs: Some(xattrs),
    }
}

/// Device numbers as the kernel's `ext4_iget` decodes them.
fn device_number(block: &[u8; 60]) -> (u32, u32) {
    let [old, new] =
        [0, 4].map(|at| u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes")));
    if old != 0 {
        (old >> 8 & 0xff, old & 0xff)
    } else {
        (new >> 8 & 0xfff, new & 0xff | new >> 12 & 0xf_ff00)
    }
}

/// What mkext4 can see of `facts`.
pub(crate) fn visible_to_mkext4(mut facts: Facts) -> Facts {
    for fact in facts.values_mut() {
        if let Some(xattrs) = &mut fact.xattrs {
            xattrs.retain(|name, _| !is_acl(name));
        }
    }
    facts
}

fn is_acl(name: &[u8]) -> bool {
    name.starts_with(b"system.posix_acl_")
}
