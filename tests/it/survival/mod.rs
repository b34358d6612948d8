//! What happens to a build: a full disk, a store that fails or changes, signals, limits. Each time
//! there is an image, or one line that names the cause, and nothing at `$out` or beside it.

mod changes;
mod full_disk;
mod hostile;
mod limits;
mod output;
mod read_errors;
mod served;
mod signals;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use nix2image::store::nar::nar_hash;
use serde_json::{Value, json};

use crate::support::direct::{Direct, FakeStore};
use crate::support::nix::PathInfo;
use crate::support::sample::noise;

/// The message of a build that failed with `code` and left nothing.
#[track_caller]
fn failure(derivation: &Direct, output: &Output, code: i32) -> String {
    let stderr = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(derivation.left_nothing(), "{stderr}");
    let errors: Vec<_> = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("nix2image: error: "))
        .collect();
    let [message] = errors[..] else {
        panic!("{stderr}")
    };
    assert!(stderr.ends_with(&format!("{message}\n")), "{stderr}");
    message.to_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The bytes of the image that a build made; nothing stands beside it.
#[track_caller]
fn image(derivation: &Direct, output: &Output) -> Vec<u8> {
    assert!(output.status.success(), "{}", stderr(output));
    what_is_there(derivation)
}

/// The bytes at the output of a build; nothing stands beside it.
#[track_caller]
fn what_is_there(derivation: &Direct) -> Vec<u8> {
    let out = derivation.out();
    let names = fs::read_dir(out.parent().unwrap()).unwrap();
    assert_eq!(names.count(), 1);
    fs::read(out).unwrap()
}

/// All files of the outputs of a build, by their paths, whatever stands there. What Hydra reads
/// names the outputs themselves, which have other paths in each build.
#[track_caller]
fn outputs(derivation: &Direct) -> BTreeMap<PathBuf, Vec<u8>> {
    let top = derivation.out().parent().unwrap().to_owned();
    let mut found = BTreeMap::new();
    let mut todo = vec![top.clone()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(&top).unwrap().to_owned();
                let mut content = fs::read(&path).unwrap();
                if name.ends_with("nix-support/hydra-build-products") {
                    let text = String::from_utf8(content).unwrap();
                    content = text.replace(top.to_str().unwrap(), "").into();
                }
                found.insert(name, content);
            }
        }
    }
    found
}

/// What Nix would know of the path of `store`.
#[track_caller]
fn known(store: &FakeStore) -> PathInfo {
    let (hash, size) = nar_hash(&store.path()).unwrap();
    PathInfo {
        nar_hash: hash.to_hex(),
        nar_size: size,
        ..FakeStore::info()
    }
}

/// A store path of some MiB: large files, each there twice, and small ones in directories.
fn some_store() -> FakeStore {
    let store = FakeStore::new();
    fill(&store.path(), 4);
    store
}

/// `large` files of 1 MiB, every other equal to the one before, and small ones in directories.
fn fill(top: &Path, large: u64) {
    for number in 0..large {
        fs::write(
            top.join(format!("large{number}")),
            noise(1 << 20, number / 2 + 1),
        )
        .unwrap();
    }
    for directory in 0..20 {
        let directory = top.join(format!("directory{directory}"));
        fs::create_dir(&directory).unwrap();
        for number in 0..10 {
            fs::write(
                directory.join(number.to_string()),
                noise(1000, number + 100),
            )
            .unwrap();
        }
    }
}

/// Attributes for each way in which an image is written.
fn ways() -> [(&'static str, Value); 3] {
    [
        ("raw", json!({})),
        ("zstd", json!({ "compression": "zstd" })),
        ("qcow2", json!({ "container": "qcow2-compressed" })),
    ]
}
