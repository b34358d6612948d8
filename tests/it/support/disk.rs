//! Disks, as partitioning tools see them.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::command::{describe, output, run};
use super::temporary;

/// A directory to be seen as `/nix/store`, with one store path.
pub(crate) struct Sources(TempDir);

impl Sources {
    const NAME: &str = "11111111111111111111111111111111-sources";

    #[track_caller]
    pub(crate) fn new() -> Self {
        let directory = temporary::directory();
        fs::create_dir(directory.path().join(Self::NAME)).unwrap();
        Self(directory)
    }

    /// Puts a file at `path`, with its directories; gives its path in the store.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) -> String {
        let at = self.0.path().join(Self::NAME).join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, content).unwrap();
        Self::path(path)
    }

    /// The path in the store of what is put at `path`.
    pub(crate) fn path(path: &str) -> String {
        format!("/nix/store/{}/{path}", Self::NAME)
    }

    pub(crate) fn store(&self) -> &Path {
        self.0.path()
    }
}

/// A partition as sfdisk tells it, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) number: usize,
    pub(crate) start: u64,
    pub(crate) size: u64,
    /// Type, GUID, name, attributes: what the table has.
    pub(crate) fields: Value,
}

impl Partition {
    /// The field `name`, or nothing.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields[name].as_str().unwrap_or_default()
    }

    pub(crate) fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// A disk on a loop device; detached with this value.
pub(crate) struct Loop(String);

impl Loop {
    /// One with sectors of its own, read-only.
    #[track_caller]
    pub(crate) fn attach(disk: &Path, sector: u64) -> Self {
        Self::with_options(disk, &["--read-only", "--sector-size", &sector.to_string()])
    }

    #[track_caller]
    pub(crate) fn attach_writable(disk: &Path) -> Self {
        Self::with_options(disk, &[])
    }

    #[track_caller]
    fn with_options(disk: &Path, options: &[&str]) -> Self {
        let mut losetup = Command::new("losetup");
        losetup.args(["--find", "--show"]).args(options);
        Self(run(losetup.arg(disk)).trim().to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let mut detach = Command::new("losetup");
        detach.args(["--detach", &self.0]);
        let output = output(&mut detach);
        // A second panic would hide the first.
        if !std::thread::panicking() {
            assert!(output.status.success(), "{}", describe(&detach, &output));
        }
    }
}

/// What sfdisk says of the table of `device`, which has sectors of `sector` bytes: the
/// table's own fields, and its partitions in the order of their numbers.
#[track_caller]
pub(crate) fn table(device: &Path, sector: u64) -> (Value, Vec<Partition>) {
    let json = run(Command::new("sfdisk").arg("--json").arg(device));
    let mut json: Value = serde_json::from_str(&json).unwrap();
    let table = json["partitiontable"].take();
    let name = device.to_str().unwrap();
    let partition = |fields: &Value| {
        let node = fields["node"].as_str().unwrap();
        let number = node.strip_prefix(name).unwrap().trim_start_matches('p');
        Partition {
            number: number.parse().unwrap(),
            start: fields["start"].as_u64().unwrap() * sector,
            size: fields["size"].as_u64().unwrap() * sector,
            fields: fields.clone(),
        }
    };
    let found = table["partitions"].as_array().unwrap();
    let mut partitions: Vec<_> = found.iter().map(partition).collect();
    partitions.sort_by_key(|partition| partition.number);
    (table, partitions)
}

/// Fails unless sfdisk, and sgdisk for a GPT, find no fault with the table of `device`, and
/// parted finds each of `numbers` aligned.
#[track_caller]
pub(crate) fn tools_find_no_fault(device: &Path, is_gpt: bool, numbers: &[usize]) {
    let mut verify = Command::new("sfdisk");
    verify.arg("--verify").arg(device);
    let verified = output(&mut verify);
    let text = String::from_utf8_lossy(&verified.stdout);
    assert!(
        verified.status.success()
            && verified.stderr.is_empty()
            && (!is_gpt || text.contains("No errors detected.")),
        "{}",
        describe(&verify, &verified)
    );
    if is_gpt {
        let mut command = Command::new("sgdisk");
        command.arg("-v").arg(device);
        let found = output(&mut command);
        // A partition that is as small as can be ends where its content does.
        let text = String::from_utf8_lossy(&found.stdout)
            .replace("Caution: Partition", "Partition")
            .replace("may\nresult in problems with", "may disturb");
        let complaint = ["Caution", "Warning", "Problem", "rror"];
        assert!(
            found.status.success()
                && text.contains("No problems found.")
                && !complaint.iter().any(|word| text.contains(word)),
            "{}",
            describe(&command, &found)
        );
    }
    for number in numbers {
        let mut command = Command::new("parted");
        command.arg("-s").arg(device);
        command.args(["align-check", "optimal", &number.to_string()]);
        let found = output(&mut command);
        assert!(
            found.status.success() && found.stdout.is_empty() && found.stderr.is_empty(),
            "{}",
            describe(&command, &found)
        );
    }
}

/// The bytes of `disk` from `start` on.
#[track_caller]
pub(crate) fn bytes_at(disk: &Path, start: u64, size: u64) -> Vec<u8> {
    let mut file = File::open(disk).unwrap();
    file.seek(SeekFrom::Start(start)).unwrap();
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, size, "the disk ends before");
    bytes
}

/// A partition cut out of a disk, gone with this value.
pub(crate) struct Cut(TempDir);

impl Cut {
    #[track_caller]
    pub(crate) fn out_of(disk: &Path, partition: &Partition) -> Self {
        let cut = Self(temporary::directory());
        let mut from = File::open(disk).unwrap();
        from.seek(SeekFrom::Start(partition.start)).unwrap();
        let mut to = File::create_new(cut.path()).unwrap();
        let copied = std::io::copy(&mut from.take(partition.size), &mut to).unwrap();
        assert_eq!(copied, partition.size, "the disk ends before its partition");
        cut
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("partition")
    }
}
