//! What the other tests rely on: that the judges judge.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::command::run;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::mount::Mounted;
use crate::support::temporary;
use crate::support::walk::is_the_store_path;

/// An empty filesystem made by e2fsprogs.
fn foreign_image(directory: &Path) -> PathBuf {
    let image = directory.join("foreign.img");
    run(Command::new("mke2fs")
        .args(["-q", "-t", "ext4"])
        .arg(&image)
        .arg("8M"));
    image
}

#[test]
fn e2fsck_is_silent_on_a_good_image() {
    let directory = temporary::directory();
    e2fsck_is_silent(&foreign_image(directory.path()));
}

#[test]
#[should_panic(expected = "e2fsck is not silent")]
fn e2fsck_is_not_silent_on_a_wrong_free_count() {
    const FREE_BLOCKS_COUNT_OFFSET: u64 = 1024 + 0x0c;
    let directory = temporary::directory();
    let image = foreign_image(directory.path());
    let file = fs::File::options().write(true).open(&image).unwrap();
    file.write_all_at(&[1, 0, 0, 0], FREE_BLOCKS_COUNT_OFFSET)
        .unwrap();
    drop(file);
    e2fsck_is_silent(&image);
}

#[test]
fn an_image_is_mounted_until_its_guard_goes() {
    let directory = temporary::directory();
    let mounted = Mounted::read_only(&foreign_image(directory.path()));
    let root = mounted.root().to_owned();
    assert!(root.join("lost+found").is_dir());
    drop(mounted);
    assert!(!root.exists());
}

#[test]
fn an_image_is_unmounted_in_a_panic() {
    let directory = temporary::directory();
    let image = foreign_image(directory.path());
    let (sender, receiver) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let mounted = Mounted::read_only(&image);
        sender.send(mounted.root().to_owned()).unwrap();
        panic!("on purpose");
    });
    panicked.join().unwrap_err();
    assert!(!receiver.recv().unwrap().exists());
}

/// A store path of the host, and what an image would show for it.
fn store_path_and_copy() -> (TempDir, PathBuf, PathBuf) {
    let directory = temporary::directory();
    let [host, copy] = ["host", "copy"].map(|name| directory.path().join(name));
    for top in [&host, &copy] {
        fs::create_dir(top).unwrap();
        fs::write(top.join("file"), "content").unwrap();
        symlink("file", top.join("link")).unwrap();
    }
    fs::set_permissions(copy.join("file"), Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o555)).unwrap();
    run(Command::new("touch")
        .args(["-h", "-d", "@1"])
        .args(["link", "file", ""].map(|name| copy.join(name))));
    (directory, host, copy)
}

#[test]
fn a_copy_of_a_store_path_is_the_store_path() {
    let (_directory, host, copy) = store_path_and_copy();
    is_the_store_path(&copy, &host);
}

#[test]
#[should_panic(expected = "content of link")]
fn a_copy_with_another_link_is_not_the_store_path() {
    let (_directory, host, copy) = store_path_and_copy();
    fs::remove_file(host.join("link")).unwrap();
    symlink("elif", host.join("link")).unwrap();
    is_the_store_path(&copy, &host);
}

#[test]
#[should_panic(expected = "mode of file")]
fn a_copy_without_the_executable_bit_is_not_the_store_path() {
    let (_directory, host, copy) = store_path_and_copy();
    fs::set_permissions(host.join("file"), Permissions::from_mode(0o755)).unwrap();
    is_the_store_path(&copy, &host);
}

#[test]
#[should_panic(expected = "other names")]
fn a_copy_without_a_file_is_not_the_store_path() {
    let (_directory, host, copy) = store_path_and_copy();
    fs::write(host.join("more"), "").unwrap();
    is_the_store_path(&copy, &host);
}
