//! An output that cannot be made.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{failure, some_store};
use crate::support::command::{output, run};
use crate::support::direct::{Direct, FakeStore};
use crate::support::mount::Mounted;
use crate::support::temporary;

fn derivation(attributes: Value) -> Direct {
    Direct::new(attributes, &[FakeStore::info()])
}

#[test]
fn a_read_only_filesystem_is_named() {
    let store = some_store();
    let tmpfs = Mounted::tmpfs();
    run(Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(tmpfs.root()));
    for attributes in [json!({}), json!({ "output": "directory" })] {
        let derivation = derivation(attributes).with_output_in(tmpfs.root());
        let output = output(&mut derivation.builder_with_store(store.store()));
        let message = failure(&derivation, &output, 1);
        let expected = format!(
            "cannot create a temporary file in {}: Read-only file system (os error 30)",
            tmpfs.root().display()
        );
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn a_directory_that_the_builder_may_not_write_to_is_named() {
    let store = some_store();
    let directory = temporary::directory();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o555)).unwrap();
    let derivation = derivation(json!({})).with_output_in(directory.path());
    let output = output(&mut derivation.unprivileged_builder_with_store(store.store()));
    let message = failure(&derivation, &output, 1);
    let expected = format!(
        "cannot create a temporary file in {}: Permission denied (os error 13)",
        directory.path().display()
    );
    assert!(message.starts_with(&expected), "{message}");
}

/// Makes something at a path.
type Make = fn(&Path);

#[test]
fn whatever_stands_at_the_output_is_kept() {
    let store = some_store();
    let makes: [Make; 5] = [
        |out| fs::write(out, "mine").unwrap(),
        |out| fs::create_dir(out).unwrap(),
        |out| symlink("/etc", out).unwrap(),
        |out| symlink("nowhere", out).unwrap(),
        |out| run_mkfifo(out),
    ];
    for make in makes {
        for attributes in [json!({}), json!({ "output": "directory" })] {
            let derivation = derivation(attributes);
            let out = derivation.out();
            make(&out);
            let before = fs::symlink_metadata(&out).unwrap();
            let output = output(&mut derivation.builder_with_store(store.store()));
            assert_eq!(output.status.code(), Some(1));
            let stderr = super::stderr(&output);
            assert_eq!(
                stderr,
                format!(
                    "nix2image: error: {} is there already; remove it or choose another output\n",
                    out.display()
                )
            );
            let after = fs::symlink_metadata(&out).unwrap();
            assert_eq!(before.modified().unwrap(), after.modified().unwrap());
            assert_eq!(before.file_type(), after.file_type());
            let names = fs::read_dir(out.parent().unwrap()).unwrap();
            assert_eq!(names.count(), 1);
        }
    }
}

fn run_mkfifo(path: &Path) {
    run(Command::new("mkfifo").arg(path));
}
