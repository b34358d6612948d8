//! What the tests make NARs of, and Nix' word on them.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::dump;
use crate::tree::Name;

pub(crate) fn dumped(path: &Path) -> Vec<u8> {
    let mut nar = Vec::new();
    dump(path, &mut nar).unwrap();
    nar
}

pub(crate) fn output_of(command: &str, arguments: &[&str], path: &Path) -> Vec<u8> {
    let output = Command::new(command)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// A directory of everything that a NAR can hold.
pub(crate) fn sample() -> tempfile::TempDir {
    let temporary = tempfile::tempdir().unwrap();
    let top = temporary.path();
    fs::create_dir_all(top.join("b/empty")).unwrap();
    fs::write(top.join("a"), "").unwrap();
    fs::write(top.join("B"), "12345678").unwrap();
    fs::write(top.join(OsStr::from_bytes(b"\xff \n\"")), "123").unwrap();
    fs::write(top.join("b/run"), vec![0; 200_000]).unwrap();
    fs::set_permissions(top.join("b/run"), Permissions::from_mode(0o755)).unwrap();
    symlink("../a", top.join("b/link")).unwrap();
    temporary
}

#[derive(Clone, Debug)]
pub(crate) enum Sample {
    File(bool, Vec<u8>),
    Symlink(String),
    Directory(std::collections::BTreeMap<String, Sample>),
}

pub(crate) fn samples() -> impl Strategy<Value = Sample> {
    let name = "[ -.0-~é]{1,9}".prop_filter("a name", |name| Name::new(name).is_ok());
    let leaf = prop_oneof![
        (any::<bool>(), vec(any::<u8>(), 0..30)).prop_map(|(x, content)| Sample::File(x, content)),
        "[ -~]{1,20}".prop_map(Sample::Symlink),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        btree_map(name.clone(), inner, 0..5).prop_map(Sample::Directory)
    })
}

pub(crate) fn make(sample: &Sample, path: &Path) {
    match sample {
        Sample::File(executable, content) => {
            fs::write(path, content).unwrap();
            let mode = if *executable { 0o755 } else { 0o644 };
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        Sample::Symlink(target) => symlink(target, path).unwrap(),
        Sample::Directory(entries) => {
            fs::create_dir(path).unwrap();
            for (name, entry) in entries {
                make(entry, &path.join(name));
            }
        }
    }
}
