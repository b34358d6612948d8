//! FAT filesystems, and who reads them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix2image::fat::{self, FatError, Options, VolumeId};
use nix2image::image;
use nix2image::job::Job;
use nix2image::tree::{Kind, NodeId, Tree};
use tempfile::TempDir;

use super::command::{describe, output, run};
use super::temporary;

/// What stands in a filesystem: the content of each file by its path, and nothing for a
/// directory.
pub(crate) type Files = BTreeMap<String, Option<Vec<u8>>>;

/// An image file with a FAT filesystem, gone with this value.
#[derive(Debug)]
pub(crate) struct FatImage(TempDir);

impl FatImage {
    /// The filesystem of `tree`, of which fsck.fat has nothing to say.
    #[track_caller]
    pub(crate) fn of(tree: &Tree, options: &Options) -> Self {
        match Self::try_of(tree, options) {
            Ok(image) => image,
            Err(error) => panic!("no layout: {error}"),
        }
    }

    /// The same, or why there is none.
    #[track_caller]
    pub(crate) fn try_of(tree: &Tree, options: &Options) -> Result<Self, FatError> {
        let pieces = fat::lay_out(tree, options)?;
        let image = Self(temporary::directory());
        let file = File::create_new(image.path()).unwrap();
        image::write(&pieces, &file, &Job::default()).unwrap();
        fsck_fat_is_silent(&image.path());
        Ok(image)
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("image")
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }
}

/// Some filesystem.
pub(crate) fn options() -> Options {
    Options {
        label: "NIX2IMAGE".parse().unwrap(),
        ..Options::new(VolumeId(0x2178_694e))
    }
}

/// Fails unless fsck.fat, changing nothing, has nothing to say of `image`: its version,
/// the summary, and no line more.
#[track_caller]
pub(crate) fn fsck_fat_is_silent(image: &Path) {
    let mut command = Command::new("fsck.fat");
    command.arg("-n").arg(image);
    let output = output(&mut command);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = stdout.lines().collect();
    let silent = match &lines[..] {
        [version, summary] => version.starts_with("fsck.fat ") && summary.ends_with(" clusters"),
        _ => false,
    };
    assert!(
        output.status.success() && silent && output.stderr.is_empty(),
        "fsck.fat is not silent\n{}",
        describe(&command, &output)
    );
}

/// What `tree` is as a FAT filesystem.
pub(crate) fn expected(tree: &Tree) -> Files {
    fn add(tree: &Tree, id: NodeId, path: &str, files: &mut Files) {
        for (name, id) in tree.entries(id) {
            let path = format!("{path}/{}", str::from_utf8(name.as_bytes()).unwrap());
            match &tree.node(id).kind {
                Kind::File(source) => {
                    let mut bytes = vec![0; usize::try_from(source.length).unwrap()];
                    source.read_at(0, &mut bytes).unwrap();
                    files.insert(path, Some(bytes));
                }
                Kind::Directory(_) => {
                    add(tree, id, &path, files);
                    files.insert(path, None);
                }
                other => panic!("{path} is {}", other.name()),
            }
        }
    }
    let mut files = Files::new();
    add(tree, Tree::ROOT, "", &mut files);
    files
}

/// What mtools reads from `image`.
#[track_caller]
pub(crate) fn by_mtools(image: &Path) -> Files {
    let copy = temporary::directory();
    let mut mdir = mtools("mdir", image);
    let listed = output(mdir.args(["-/", "-b", "::/"]));
    let said = String::from_utf8_lossy(&listed.stderr);
    // Of a root with nothing in it, not even a label, it says so.
    let has_nothing = said == "mdir: File \"::/\" not found\n" && listed.stdout.is_empty();
    assert!(
        listed.status.success() || has_nothing,
        "{}",
        describe(&mdir, &listed)
    );
    if listed.stdout.trim_ascii().is_empty() {
        return Files::new();
    }
    copy_by_mtools(image, copy.path());
    files(copy.path())
}

/// Copies all that mtools reads from `image` into the directory `target`, with its times.
#[track_caller]
pub(crate) fn copy_by_mtools(image: &Path, target: &Path) {
    run(mtools("mcopy", image)
        .args(["-s", "-n", "-m", "::/*"])
        .arg(target));
}

/// Bytes that `mdir` says are free in `image`.
#[track_caller]
pub(crate) fn free_by_mtools(image: &Path) -> u64 {
    let listed = run(mtools("mdir", image).arg("::/"));
    let line = listed.lines().rfind(|line| line.ends_with("bytes free"));
    let digits: String = line.unwrap().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// The paths that `mdir` lists of `image`: of directories with a slash at their end.
#[track_caller]
pub(crate) fn listed_by_mtools(image: &Path) -> Vec<String> {
    let mut paths: Vec<String> = run(mtools("mdir", image).args(["-/", "-b", "-a", "::/"]))
        .lines()
        .map(|line| line.trim_start_matches("::").to_owned())
        .collect();
    paths.sort();
    paths
}

fn mtools(program: &str, image: &Path) -> Command {
    let mut command = Command::new(program);
    // Names beyond ASCII, and sizes that no floppy had.
    command
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("MTOOLS_SKIP_CHECK", "1");
    command.arg("-i").arg(image);
    command
}

/// What GRUB's driver reads of the file at `path` in `image`.
#[track_caller]
pub(crate) fn by_grub(image: &Path, path: &str) -> Vec<u8> {
    let copy = temporary::directory();
    let copied = copy.path().join("copy");
    run(Command::new("grub-fstest")
        .arg(image)
        .args(["cp", &format!("(loop0){path}")])
        .arg(&copied));
    std::fs::read(copied).unwrap()
}

/// The paths and contents below `directory`.
fn files(directory: &Path) -> Files {
    fn add(directory: &Path, path: &str, files: &mut Files) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{path}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                add(&entry.path(), &path, files);
                files.insert(path, None);
            } else {
                files.insert(path, Some(std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    let mut found = Files::new();
    add(directory, "", &mut found);
    found
}

/// Fails unless `found` is what was expected, and shows what differs.
#[track_caller]
pub(crate) fn assert_files(found: &Files, expected: &Files, reader: &str) {
    let differ: Vec<&String> = found
        .keys()
        .chain(expected.keys())
        .filter(|path| found.get(*path) != expected.get(*path))
        .collect();
    assert!(
        differ.is_empty(),
        "{reader} reads these otherwise: {differ:?}"
    );
}
