//! The partitions of a disk, as the tools of partitions see them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::command::run;
use super::temporary;

/// The table of a raw disk, as sfdisk reads it, after it had nothing to complain of.
#[track_caller]
pub(crate) fn table(image: &Path) -> Value {
    let verified = run(Command::new("sfdisk").arg("--verify").arg(image));
    assert!(verified.contains("No errors detected"), "{verified}");
    let text = run(Command::new("sfdisk").arg("--json").arg(image));
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["partitiontable"].take()
}

/// A partition of a disk in a file by itself; gone with the value.
pub(crate) struct Extracted {
    pub(crate) file: PathBuf,
    _directory: TempDir,
}

/// The partition of this number, from 1.
#[track_caller]
pub(crate) fn extracted(image: &Path, number: usize) -> Extracted {
    let table = table(image);
    let row = &table["partitions"][number - 1];
    let directory = temporary::directory();
    let file = directory.path().join("partition");
    run(Command::new("dd")
        .args(["bs=512", "conv=sparse", "status=none"])
        .arg(format!("if={}", image.display()))
        .arg(format!("of={}", file.display()))
        .arg(format!("skip={}", row["start"]))
        .arg(format!("count={}", row["size"])));
    Extracted {
        file,
        _directory: directory,
    }
}
