use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path as HostPath;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::store::nar;

const PLACE: Place = Place {
    start: 0,
    store: "/nix/store",
};

/// A closure of one path, in a directory that is the root of an image: `root/nix/store/…`.
struct Fixture {
    directory: TempDir,
    path: StorePath,
}

impl Fixture {
    fn new() -> Self {
        let hash = "0".repeat(StorePath::HASH_LENGTH);
        let fixture = Self {
            directory: tempfile::tempdir().unwrap(),
            path: StorePath::from_base_name(&format!("{hash}-a")).unwrap(),
        };
        fs::create_dir_all(fixture.host_path()).unwrap();
        fixture
    }

    fn root(&self) -> std::path::PathBuf {
        self.directory.path().join("root")
    }

    fn host_path(&self) -> std::path::PathBuf {
        self.root()
            .join(self.path.to_path().strip_prefix("/").unwrap())
    }

    /// The closure as Nix would know it.
    fn closure(&self) -> Vec<ValidPath> {
        let (nar_hash, nar_size) = nar::nar_hash(&self.host_path()).unwrap();
        let valid = ValidPath {
            path: self.path.clone(),
            nar_hash,
            nar_size,
            references: Vec::new(),
            ca: None,
        };
        vec![valid]
    }

    /// An image of the root, made by mke2fs.
    fn image(&self) -> PendingOutput {
        let image = PendingOutput::begin(&self.directory.path().join("image")).unwrap();
        let made = self.directory.path().join("mke2fs.img");
        let done = Command::new("mke2fs")
            .args([
                "-q",
                "-t",
                "ext4",
                "-O",
                "^orphan_file,^metadata_csum_seed",
                "-d",
            ])
            .args([self.root(), made.clone()])
            .arg("64M")
            .output()
            .expect("this test needs mke2fs, of e2fsprogs");
        assert!(done.status.success(), "{done:?}");
        io::copy(&mut File::open(&made).unwrap(), &mut image.file()).unwrap();
        image
    }
}

/// Files of every kind, with names that are hard to keep.
fn fill(directory: &HostPath) {
    let long = "x".repeat(255);
    let names: [&[u8]; 5] = [b"a b", b"a\nb", b"\xff\xfe", b"\"quoted'", long.as_bytes()];
    for name in names {
        let name = std::ffi::OsStr::from_bytes(name);
        fs::write(directory.join(name), name.as_bytes()).unwrap();
    }
    fs::create_dir(directory.join("many")).unwrap();
    for index in 0..2000 {
        fs::write(directory.join(format!("many/{index}")), []).unwrap();
    }
    fs::create_dir(directory.join("empty")).unwrap();
    fs::write(directory.join("big"), vec![7; (1 << 20) + 1]).unwrap();
    fs::write(directory.join("run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(directory.join("run"), fs::Permissions::from_mode(0o555)).unwrap();
    symlink("big", directory.join("short link")).unwrap();
    symlink("x/".repeat(100), directory.join("long link")).unwrap();
}

fn check_uncompressed(closure: &[ValidPath], image: &PendingOutput) -> Result<(), SelfCheckError> {
    check(closure, image, Container::Raw, PLACE, &Job::default())
}

#[test]
fn an_image_that_holds_the_closure_passes() {
    let fixture = Fixture::new();
    fill(&fixture.host_path());
    check_uncompressed(&fixture.closure(), &fixture.image()).unwrap();
}

#[test]
fn a_compressed_image_that_holds_the_closure_passes() {
    let fixture = Fixture::new();
    fill(&fixture.host_path());
    let image = fixture.image();
    let compressed = PendingOutput::begin(&fixture.directory.path().join("compressed")).unwrap();
    let mut from = image.file();
    io::Seek::rewind(&mut from).unwrap();
    zstd::stream::copy_encode(from, compressed.file(), 1).unwrap();
    let zstd = Container::Zstd { level: 1 };
    check(
        &fixture.closure(),
        &compressed,
        zstd,
        PLACE,
        &Job::default(),
    )
    .unwrap();
}

#[test]
fn a_store_path_that_came_out_as_another_is_named_with_both_hashes() {
    let fixture = Fixture::new();
    fill(&fixture.host_path());
    let image = fixture.image();
    fs::write(fixture.host_path().join("big"), "changed").unwrap();
    let closure = fixture.closure();
    let expected = closure[0].nar_hash;
    let error = check_uncompressed(&closure, &image).unwrap_err();
    let SelfCheckError::Mismatch { found, .. } = &error else {
        panic!("{error}")
    };
    let message = error.to_string();
    for part in [
        fixture.path.to_string(),
        expected.to_string(),
        found.to_string(),
    ] {
        assert!(message.contains(&part), "{message}");
    }
}

#[test]
fn a_store_path_that_is_missing_is_named() {
    let fixture = Fixture::new();
    let closure = fixture.closure();
    fs::remove_dir(fixture.host_path()).unwrap();
    let error = check_uncompressed(&closure, &fixture.image()).unwrap_err();
    assert!(
        error.to_string().starts_with(&fixture.path.to_string()),
        "{error}"
    );
}

#[test]
fn what_is_no_filesystem_is_refused() {
    let fixture = Fixture::new();
    let image = PendingOutput::begin(&fixture.directory.path().join("image")).unwrap();
    image.file().set_len(1 << 20).unwrap();
    assert!(matches!(
        check_uncompressed(&fixture.closure(), &image),
        Err(SelfCheckError::Filesystem(_))
    ));
}

#[test]
fn an_interrupt_ends_the_check() {
    let fixture = Fixture::new();
    let job = Job::default();
    job.stop();
    assert!(matches!(
        check(
            &fixture.closure(),
            &fixture.image(),
            Container::Raw,
            PLACE,
            &job
        ),
        Err(SelfCheckError::Stopped(_))
    ));
}
