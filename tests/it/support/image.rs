//! A Tree as an image file.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix2image::ext4::{self, Options};
use nix2image::image;
use nix2image::job::Job;
use nix2image::tree::Tree;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::command::run;
use super::fsck::e2fsck_is_silent;
use super::temporary;

/// An image file, gone with this value.
#[derive(Debug)]
pub(crate) struct Image {
    directory: TempDir,
}

impl Image {
    /// The image of `tree`, of which e2fsck has nothing to say.
    #[track_caller]
    pub(crate) fn of(tree: Tree, options: &Options) -> Self {
        let image = Self::unchecked(tree, options);
        e2fsck_is_silent(&image.path());
        image
    }

    /// The image of `tree`, for a test that checks it itself.
    #[track_caller]
    pub(crate) fn unchecked(tree: Tree, options: &Options) -> Self {
        let image = Self {
            directory: temporary::directory(),
        };
        let pieces = match ext4::lay_out(tree, options) {
            Ok(pieces) => pieces,
            Err(error) => panic!("no layout: {error}"),
        };
        let file = File::create_new(image.path()).unwrap();
        image::write(&pieces, &file, &Job::default()).unwrap();
        assert_eq!(
            file.metadata().unwrap().len(),
            pieces.size(),
            "the size is known before a byte is written"
        );
        image
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.path().metadata().unwrap().len()
    }

    /// SHA-256 of all bytes, in hex.
    pub(crate) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut file = File::open(self.path()).unwrap();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match std::io::Read::read(&mut file, &mut buffer).unwrap() {
                0 => break,
                length => hash.update(&buffer[..length]),
            }
        }
        data_encoding::HEXLOWER.encode(&hash.finalize())
    }

    /// What `dumpe2fs -h` says of the superblock and the journal.
    #[track_caller]
    pub(crate) fn superblock(&self) -> BTreeMap<String, String> {
        superblock(&self.path())
    }
}

/// The fields that `dumpe2fs -h` prints, by name.
#[track_caller]
pub(crate) fn superblock(image: &Path) -> BTreeMap<String, String> {
    run(Command::new("dumpe2fs").arg("-h").arg(image))
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// The number that `fields` have under `name`.
#[track_caller]
pub(crate) fn number(fields: &BTreeMap<String, String>, name: &str) -> u64 {
    match fields.get(name).map(|value| value.parse()) {
        Some(Ok(number)) => number,
        found => panic!("{name}: {found:?} in {fields:#?}"),
    }
}
