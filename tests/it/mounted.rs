//! The kernel's mount, walked side by side with the tree: all that `stat`, `read`,
//! `readlink` and `getxattr` tell, and nothing else there.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nix2image::ext4::lay_out;
use nix2image::source::{Container, HostDirectory, HostFile, Origin, Source};
use nix2image::tree::{Node, Timestamp, Tree};

use crate::support::command::run;
use crate::support::env;
use crate::support::facts::{assert_same, expected};
use crate::support::image::Image;
use crate::support::mount::Mounted;
use crate::support::sample::{
    directory, empty, everything, file, metadata, name, noise, put, roomy, symlink, tight, tree_of,
    with_xattrs,
};
use crate::support::{readers, temporary};

/// Fails unless the kernel sees the image of `tree` as the tree is.
#[track_caller]
fn mounts_as_it_is(tree: Tree) {
    let expected = expected(&tree);
    let image = Image::of(tree, &tight());
    assert_same(&readers::kernel(&image.path()), &expected, "the kernel");
}

#[test]
fn everything_is_there_and_nothing_else() {
    let tree = everything();
    let expected = expected(&tree);
    let image = Image::of(tree, &roomy());
    assert_same(&readers::kernel(&image.path()), &expected, "the kernel");
}

#[test]
fn an_empty_tree_has_its_lost_and_found() {
    mounts_as_it_is(empty());
}

#[test]
fn a_lost_and_found_of_the_trees_own_is_kept() {
    let mut tree = empty();
    let own = put(&mut tree, Tree::ROOT, "lost+found", directory());
    put(&mut tree, own, "found", file("already"));
    put(&mut tree, own, "directory", directory());
    mounts_as_it_is(tree);
}

#[test]
fn symlinks_of_every_length_around_the_inodes_room() {
    let lengths = (50..70).chain(4085..=4095);
    mounts_as_it_is(tree_of(lengths.map(|length| {
        (format!("{length}"), symlink(noise_without_nul(length)))
    })));
}

fn noise_without_nul(length: usize) -> Vec<u8> {
    let mut bytes = noise(length, 1);
    for byte in &mut bytes {
        *byte = (*byte).max(1);
    }
    bytes
}

/// Old writers made these of times before 1970, and so e2fsck offers to make them
/// that again, until its clock is past 2242.
#[test]
fn times_around_those_that_e2fsck_mistakes_are_what_they_are() {
    let tree = tree_of([(3_i64 << 32) - (1 << 31) - 1, 3 << 32].map(|seconds| {
        let mut node = file("");
        node.metadata.mtime = Timestamp::from_seconds(seconds);
        (format!("{seconds}"), node)
    }));
    let expected = expected(&tree);
    let image = Image::of(tree, &tight());
    assert_same(&readers::kernel(&image.path()), &expected, "the kernel");
}

/// Adds a directory of `entries` names of `length` bytes.
fn put_crowd(tree: &mut Tree, entries: usize, length: usize) {
    let linked = put(
        tree,
        Tree::ROOT,
        format!("for {length}, {entries}"),
        file(""),
    );
    let crowd = put(
        tree,
        Tree::ROOT,
        format!("{length}, {entries}"),
        directory(),
    );
    for number in 0..entries {
        let entry = format!("{number:0length$x}");
        tree.link(crowd, name(entry), linked).unwrap();
    }
}

#[test]
fn directories_of_every_size_around_the_first_block() {
    let mut tree = empty();
    for (length, entries) in [(4, 330..345), (8, 245..260), (20, 138..148), (255, 0..40)] {
        for entries in entries {
            put_crowd(&mut tree, entries, length);
        }
    }
    mounts_as_it_is(tree);
}

#[test]
fn directories_of_every_size_around_the_second_level_of_their_index() {
    // 507 leaves of 12 to 15 entries.
    let mut tree = empty();
    for entries in (5800..7900).step_by(150) {
        put_crowd(&mut tree, entries, 255);
    }
    mounts_as_it_is(tree);
}

#[test]
fn a_directory_of_66_000_subdirectories_counts_one_link() {
    let mut tree = empty();
    let parent = put(&mut tree, Tree::ROOT, "parent", directory());
    for number in 0..66_000 {
        put(&mut tree, parent, format!("{number}"), directory());
    }
    mounts_as_it_is(tree);
}

#[test]
fn directories_around_65_000_links_count_as_linux_does() {
    // Each with `.` and its own name.
    for subdirectories in [64_998, 64_999] {
        let mut tree = empty();
        let parent = put(&mut tree, Tree::ROOT, "parent", directory());
        for number in 0..subdirectories {
            put(&mut tree, parent, format!("{number}"), directory());
        }
        mounts_as_it_is(tree);
    }
}

/// A directory of a million names, of so many bytes each, shared by as few files as
/// can have so many.
fn million(length: usize) -> (Tree, Vec<String>) {
    const LINKS: usize = 65_000;
    let mut tree = empty();
    let parent = put(&mut tree, Tree::ROOT, "parent", directory());
    let names: Vec<_> = (0..1_000_000)
        .map(|number| format!("{number:0length$}"))
        .collect();
    for names in names.chunks(LINKS) {
        let linked = put(&mut tree, parent, &names[0], file("of many names"));
        for other in &names[1..] {
            tree.link(parent, name(other), linked).unwrap();
        }
    }
    (tree, names)
}

#[test]
fn a_directory_of_a_million_entries_is_complete_and_found_by_name() {
    let lengths = if env::is_full() {
        &[6, 100, 255][..]
    } else {
        &[6]
    };
    for length in lengths {
        let (tree, names) = million(*length);
        let image = Image::of(tree, &tight());
        let mounted = Mounted::read_only(&image.path());
        let parent = mounted.root().join("parent");
        let mut found: Vec<_> = std::fs::read_dir(&parent)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort_unstable();
        assert!(found == names, "{length}: {} names", found.len());
        for name in names.iter().step_by(97) {
            assert!(parent.join(name).is_file(), "{name}");
            assert!(!parent.join(format!("{}x", &name[1..])).exists());
        }
    }
}

#[test]
fn each_of_100_000_entries_is_found_by_its_name() {
    let mut tree = empty();
    let parent = put(&mut tree, Tree::ROOT, "parent", directory());
    for number in 0..100_000 {
        put(&mut tree, parent, format!("entry {number}"), file(""));
    }
    // The walk asks the kernel for each file by its name, through the index.
    mounts_as_it_is(tree);
}

#[test]
fn a_name_that_is_not_there_is_not_found() {
    let mut tree = empty();
    put_crowd(&mut tree, 20_000, 20);
    let image = Image::of(tree, &tight());
    let mounted = Mounted::read_only(&image.path());
    let crowd = mounted.root().join("20, 20000");
    for number in 20_000..30_000 {
        assert!(!crowd.join(format!("{number:020x}")).exists());
    }
}

#[test]
fn extended_attributes_of_every_size_around_the_inodes_room() {
    let mut tree = empty();
    for length in 40..100 {
        let value = noise(length, 1);
        let one = with_xattrs(file(""), &[("user.a", &value)]);
        put(&mut tree, Tree::ROOT, format!("one {length}"), one);
        let two = [("security.b", &value[..20]), ("user.a", &value[20..])];
        let two = with_xattrs(file(""), &two);
        put(&mut tree, Tree::ROOT, format!("two {length}"), two);
        let split = [("security.b", &value[..]), ("user.aa", &value[..])];
        let split = with_xattrs(directory(), &split);
        put(&mut tree, Tree::ROOT, format!("split {length}"), split);
    }
    mounts_as_it_is(tree);
}

#[test]
fn extended_attributes_of_every_size_around_the_blocks_room() {
    let tree = |length: usize, small: bool| {
        let value = noise(length, 2);
        let mut xattrs = vec![("user.large", &value[..])];
        if small {
            xattrs.push(("user.small", &value[..40]));
        }
        tree_of([("file", with_xattrs(file(""), &xattrs))])
    };
    for small in [false, true] {
        let fits = |length: &usize| lay_out(tree(*length, small), &tight()).is_ok();
        let largest = (3900..4096).take_while(fits).last().unwrap();
        assert!(largest > 4000, "{largest}");
        assert!(!(largest + 1..4200).any(|length| fits(&length)));
        for length in largest - 4..=largest {
            mounts_as_it_is(tree(length, small));
        }
    }
}

/// A file of the host of `length` bytes, each MiB of which tells its number.
fn numbered(directory: &Path, called: &str, length: u64) -> Node {
    let file = File::create_new(directory.join(called)).unwrap();
    file.set_len(length).unwrap();
    for at in (0..length.saturating_sub(8)).step_by(1 << 20) {
        file.write_all_at(&(at + 1).to_le_bytes(), at).unwrap();
    }
    let origin = Origin::HostFile(HostFile {
        directory: std::sync::Arc::new(HostDirectory::new(directory)),
        name: name(called),
    });
    Node::file(metadata(0o644), Source::new(length, origin))
}

#[test]
fn files_across_groups_and_with_a_tree_of_extents() {
    let host = temporary::directory();
    let mut tree = empty();
    for (called, length) in [
        ("a, one block below a full extent", (128 << 20) - 4096),
        ("b, a full extent", 128 << 20),
        ("c, one byte more", (128 << 20) + 1),
        ("d, many extents", (800 << 20) + 12_345),
        ("e, small", 5),
    ] {
        put(
            &mut tree,
            Tree::ROOT,
            called,
            numbered(host.path(), called, length),
        );
    }
    let expected = expected(&tree);
    let image = Image::of(tree, &tight());
    assert_same(&readers::kernel(&image.path()), &expected, "the kernel");
    let extents = run(std::process::Command::new("debugfs")
        .args(["-R", "ex \"/d, many extents\""])
        .arg(image.path()));
    assert!(
        extents.contains(" 1/ 1 "),
        "an extent tree of depth 1:\n{extents}"
    );
}

#[test]
fn a_part_of_a_host_file_is_that_part() {
    let host = temporary::directory();
    let path = host.path().join("host");
    std::fs::write(&path, noise(3 << 20, 5)).unwrap();
    mounts_as_it_is(tree_of([(0, 1), (1, 4096), (511, 2 << 20)].map(
        |(offset, length)| {
            let origin = Origin::Range {
                container: Container::at(&path).into(),
                offset,
            };
            let node = Node::file(metadata(0o644), Source::new(length, origin));
            (format!("{offset}+{length}"), node)
        },
    )));
}
