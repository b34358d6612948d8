//! One closure of the machine's store in every form in which a closure can be given.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::command::{run, start};
use super::nix::{Nix, PathInfo};
use super::temporary;

/// A closure, with files that hold it.
pub(crate) struct Forms {
    directory: TempDir,
    top: String,
    paths: Vec<PathInfo>,
}

impl Forms {
    /// The closure of the store path `top`.
    #[track_caller]
    pub(crate) fn of(top: &str) -> Self {
        let forms = Self {
            directory: temporary::directory(),
            top: top.into(),
            paths: Nix::Machine.closure(&[top]),
        };
        forms.write_text_graph();
        forms.write_export();
        forms
    }

    /// What is known of its paths.
    pub(crate) fn paths(&self) -> &[PathInfo] {
        &self.paths
    }

    pub(crate) fn text_graph(&self) -> PathBuf {
        self.directory.path().join("graph")
    }

    pub(crate) fn export(&self) -> PathBuf {
        self.directory.path().join("plain.closure")
    }

    pub(crate) fn compressed_export(&self) -> PathBuf {
        self.directory.path().join("compressed.closure")
    }

    /// Makes a binary cache; its `compression` is `none`, `zstd` or `xz`.
    #[track_caller]
    pub(crate) fn cache(&self, compression: &str) -> PathBuf {
        let cache = self.directory.path().join(format!("cache-{compression}"));
        let url = format!("file://{}?compression={compression}", cache.display());
        run(Command::new("nix").args(["copy", "--no-check-sigs", "--to", &url, &self.top]));
        cache
    }

    /// What takes all of it from a binary cache.
    pub(crate) fn cache_attributes(&self, cache: &Path) -> Value {
        json!({ "binaryCaches": [{ "cache": cache, "paths": [self.top] }] })
    }

    /// The forms that are no graph of structured attributes, as an image's attributes.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, Value)> {
        let cache = |compression| self.cache_attributes(&self.cache(compression));
        vec![
            ("text graph", json!({ "textGraphs": [self.text_graph()] })),
            ("export", json!({ "exports": [self.export()] })),
            (
                "zstd export",
                json!({ "exports": [self.compressed_export()] }),
            ),
            ("binary cache", cache("none")),
            ("binary cache with zstd", cache("zstd")),
            ("binary cache with xz", cache("xz")),
        ]
    }

    fn write_text_graph(&self) {
        let mut text = String::new();
        for info in &self.paths {
            let references = &info.references;
            writeln!(text, "{}\n\n{}", info.path, references.len()).unwrap();
            for reference in references {
                writeln!(text, "{reference}").unwrap();
            }
        }
        fs::write(self.text_graph(), text).unwrap();
    }

    fn write_export(&self) {
        let paths: Vec<_> = self.paths.iter().map(|info| &info.path).collect();
        let export = File::create(self.export()).unwrap();
        let mut command = Command::new("nix-store");
        command.arg("--export").args(paths).stdout(export);
        assert!(start(&mut command).wait().unwrap().success());
        compress(&self.export(), &self.compressed_export());
    }
}

/// Compresses a file with zstd.
#[track_caller]
pub(crate) fn compress(from: &Path, to: &Path) {
    let mut encoder = zstd::Encoder::new(File::create(to).unwrap(), 3).unwrap();
    encoder.write_all(&fs::read(from).unwrap()).unwrap();
    encoder.finish().unwrap();
}
