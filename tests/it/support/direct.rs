//! The builder started by ourselves, as Nix starts it, where Nix would not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::nix::PathInfo;
use super::temporary;

/// A build directory, as Nix prepares one, with a directory for the output.
pub(crate) struct Direct {
    directory: TempDir,
    output_directory: PathBuf,
}

impl Direct {
    /// A derivation whose attributes under `nix2image` are `image`, of version 1, and whose
    /// only graph, `closure`, is of `paths`.
    #[track_caller]
    pub(crate) fn new(mut image: Value, paths: &[PathInfo]) -> Self {
        image["graphs"] = json!(["closure"]);
        let graph: Vec<Value> = paths
            .iter()
            .map(|info| {
                json!({
                    "path": info.path,
                    "narHash": format!("sha256:{}", info.nar_hash),
                    "narSize": info.nar_size,
                    "references": info.references,
                })
            })
            .collect();
        Self::with_attributes(json!({
            "exportReferencesGraph": { "closure": [] },
            "closure": graph,
            "nix2image": image,
        }))
    }

    /// A derivation without graphs.
    #[track_caller]
    pub(crate) fn without_graphs(image: &Value) -> Self {
        Self::with_attributes(json!({ "nix2image": image }))
    }

    #[track_caller]
    fn with_attributes(mut attributes: Value) -> Self {
        let directory = temporary::directory();
        let output_directory = directory.path().join("store");
        fs::create_dir(&output_directory).unwrap();
        attributes["outputs"] = json!({ "out": output_directory.join("out") });
        if attributes["nix2image"]["report"] == true {
            attributes["outputs"]["report"] = json!(output_directory.join("report"));
        }
        attributes["nix2image"]["version"] = json!(1);
        fs::write(directory.path().join(".attrs.json"), attributes.to_string()).unwrap();
        Self {
            directory,
            output_directory,
        }
    }

    /// The same, with its output in `directory`, which is empty.
    #[track_caller]
    pub(crate) fn with_output_in(self, directory: &Path) -> Self {
        let attributes = self.directory.path().join(".attrs.json");
        let mut json: Value = serde_json::from_slice(&fs::read(&attributes).unwrap()).unwrap();
        for (name, path) in json["outputs"].as_object_mut().unwrap() {
            *path = json!(directory.join(name));
        }
        fs::write(&attributes, json.to_string()).unwrap();
        Self {
            output_directory: directory.into(),
            ..self
        }
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.output_directory.join("out")
    }

    /// Where the report is, if `report` is true.
    pub(crate) fn report(&self) -> PathBuf {
        self.output_directory.join("report")
    }

    /// The builder behind the command `before`, with no environment but its own.
    pub(crate) fn builder_after(&self, before: &[&str]) -> Command {
        let builder = env!("CARGO_BIN_EXE_nix2image");
        let words = [before, &[builder]].concat();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env(
                "NIX_ATTRS_JSON_FILE",
                self.directory.path().join(".attrs.json"),
            )
            .env("NIX_BUILD_TOP", self.directory.path())
            .env("NIX_BUILD_CORES", "2");
        command
    }

    /// The builder, which sees `store` as `/nix/store`.
    pub(crate) fn builder_with_store(&self, store: &Path) -> Command {
        self.builder_in_mount_namespace(store, &[])
    }

    /// The builder, which sees `store` as `/nix/store` and may read no more than modes allow
    /// the owner, as in Nix's sandbox.
    pub(crate) fn unprivileged_builder_with_store(&self, store: &Path) -> Command {
        let without = "--bounding-set=-dac_override,-dac_read_search";
        self.builder_in_mount_namespace(store, &["setpriv", without])
    }

    /// The builder behind the command `before`, which sees `store` as `/nix/store`.
    pub(crate) fn builder_in_mount_namespace(&self, store: &Path, before: &[&str]) -> Command {
        const SCRIPT: &str = r#"mount --bind "$0" /nix/store; exec "$@""#;
        let store = store.to_str().expect("the tests' own paths are text");
        let unshare = ["unshare", "--mount", "--propagation", "private"];
        let shell = ["sh", "-euc", SCRIPT, store];
        self.builder_after(&[&unshare[..], &shell, before].concat())
    }

    /// Nothing is where the output would be, nor beside it.
    #[track_caller]
    pub(crate) fn left_nothing(&self) -> bool {
        let mut names = fs::read_dir(&self.output_directory).unwrap();
        names.next().is_none()
    }
}

/// A directory to be seen as `/nix/store`, which holds one store path, a directory.
pub(crate) struct FakeStore {
    directory: TempDir,
}

impl FakeStore {
    const NAME: &str = "00000000000000000000000000000000-fake";

    /// The store path is a directory with a file and a link in it.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let directory = temporary::directory();
        let top = directory.path().join(Self::NAME);
        fs::create_dir(&top).unwrap();
        fs::write(top.join("file"), "content").unwrap();
        symlink("file", top.join("link")).unwrap();
        Self { directory }
    }

    /// The store itself, where we see it.
    pub(crate) fn store(&self) -> &Path {
        self.directory.path()
    }

    /// The store path, where we see it.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join(Self::NAME)
    }

    /// The store path as the builder names it.
    pub(crate) fn store_path() -> String {
        format!("/nix/store/{}", Self::NAME)
    }

    /// As a graph tells it; nobody has computed its hash.
    pub(crate) fn info() -> PathInfo {
        PathInfo {
            path: Self::store_path(),
            nar_hash: "0".repeat(64),
            nar_size: 1,
            references: Vec::new(),
        }
    }
}
