//! Archives, read by GNU tar.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix2image::image;
use nix2image::job::Job;
use nix2image::tar::lay_out;
use nix2image::tree::{Kind, Tree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

use crate::support::command::run;
use crate::support::facts::{Facts, assert_same, expected};
use crate::support::image::Image;
use crate::support::mount::Mounted;
use crate::support::readers::directory;
use crate::support::recipe::recipes;
use crate::support::sample::{empty, everything, file, put, roomy};
use crate::support::temporary;

/// An archive, gone with this value.
struct Archive(TempDir);

impl Archive {
    #[track_caller]
    fn of(tree: Tree) -> Self {
        let archive = Self(temporary::directory());
        let pieces = lay_out(tree).unwrap();
        let file = File::create_new(archive.path()).unwrap();
        image::write(&pieces, &file, &Job::default()).unwrap();
        archive
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("tar")
    }
}

/// What GNU tar makes of the archive at `path`, on a filesystem that holds all of it.
#[track_caller]
fn unpacked_by_gnu_tar(path: &Path) -> Facts {
    let disk = Image::unchecked(empty(), &roomy());
    let mounted = Mounted::writable("ext4", &disk.path());
    run(Command::new("tar")
        .args(["--extract", "--same-owner", "--preserve-permissions"])
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*"])
        .args(["--delay-directory-restore", "--warning=no-timestamp"])
        .arg("--file")
        .arg(path)
        .arg("--directory")
        .arg(mounted.root()));
    directory(mounted.root())
}

/// `tree` less what no program could restore through the kernel: an access list changes
/// the mode, the first and the last second of ext4 lose their nanoseconds, and a symlink's
/// mode is 0777. Xattrs of symlinks GNU tar does not restore.
fn restorable(mut tree: Tree) -> Tree {
    const ENDS: [i64; 2] = [-(1 << 31), (1 << 34) - (1 << 31) - 1];
    for node in tree.nodes_mut() {
        let metadata = &mut node.metadata;
        if ENDS.contains(&metadata.mtime.seconds) {
            metadata.mtime.nanoseconds = 0;
        }
        if let Some(xattrs) = &mut metadata.xattrs {
            xattrs.retain(|name, _| !name.starts_with(b"system.posix_acl"));
        }
        if matches!(node.kind, Kind::Symlink(_)) {
            metadata.xattrs = None;
            metadata.mode = 0o777;
        }
    }
    tree
}

#[test]
fn gnu_tar_unpacks_all_that_a_tree_can_be() {
    let tree = restorable(everything());
    let expected = expected(&tree);
    let archive = Archive::of(tree);
    assert_same(&unpacked_by_gnu_tar(&archive.path()), &expected, "GNU tar");
}

#[test]
fn gnu_tar_unpacks_random_trees() {
    let config = Config {
        cases: 8,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let result = TestRunner::new_with_rng(config, rng).run(&recipes(), |recipe| {
        let tree = restorable(recipe.tree());
        let expected = expected(&tree);
        let archive = Archive::of(tree);
        assert_same(&unpacked_by_gnu_tar(&archive.path()), &expected, "GNU tar");
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn gnu_tar_lists_a_directory_before_its_entries_in_order() {
    let mut tree = empty();
    let mut metadata = file("").metadata;
    metadata.mode = 0o755;
    let directory = nix2image::tree::Node::directory(metadata);
    let b = put(&mut tree, Tree::ROOT, "b", directory);
    put(&mut tree, b, "y", file("content"));
    let a = put(&mut tree, Tree::ROOT, "a", file(""));
    let name = nix2image::tree::Name::new("x").unwrap();
    tree.link(b, name, a).unwrap();
    let archive = Archive::of(tree);
    let listed = run(Command::new("tar")
        .args(["--list", "--verbose", "--numeric-owner", "--file"])
        .arg(archive.path()));
    let names: Vec<_> = listed
        .lines()
        .map(|line| line.split_once("./").unwrap().1)
        .collect();
    assert_eq!(names, ["", "a", "b", "b/x link to ./a", "b/y"]);
}
