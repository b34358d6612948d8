//! The process: exit codes, messages, and what is left at `$out`.

#![expect(clippy::unwrap_used, reason = "all of this is a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::command::{output, start};
use crate::support::fsck::e2fsck_is_silent;
use crate::support::temporary;

/// A build directory, as Nix prepares one, with a directory for the output.
struct Derivation {
    directory: TempDir,
    attrs: Value,
}

impl Derivation {
    /// A derivation whose attributes under `nix2image` are `image`, of version 1.
    fn new(mut image: Value) -> Self {
        let directory = temporary::directory();
        fs::create_dir(directory.path().join("store")).unwrap();
        image["version"] = json!(1);
        let attrs = json!({
            "outputs": { "out": directory.path().join("store/out") },
            "nix2image": image,
        });
        Self { directory, attrs }
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("store/out")
    }

    /// The builder, as Nix starts it.
    fn builder(&self) -> Command {
        fs::write(
            self.directory.path().join(".attrs.json"),
            self.attrs.to_string(),
        )
        .unwrap();
        let mut builder = nix2image();
        builder
            .current_dir("/")
            .env("NIX_ATTRS_JSON_FILE", "/does/not/exist/.attrs.json")
            .env("NIX_BUILD_TOP", self.directory.path())
            .env("NIX_BUILD_CORES", "2");
        builder
    }

    fn build(&self) -> Output {
        output(&mut self.builder())
    }

    /// Nothing is where the output would be, nor beside it.
    fn left_nothing(&self) -> bool {
        names(&self.directory.path().join("store")).is_empty()
    }
}

/// The program, with no more of an environment than a test gives it.
fn nix2image() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nix2image"));
    command.env_clear();
    command
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// That the one line on standard error, but for phases, is `message`.
#[track_caller]
fn assert_fails(output: &Output, code: i32, message: &str) {
    let stderr = stderr(output);
    let lines: Vec<_> = stderr
        .lines()
        .filter(|line| !line.starts_with("@nix "))
        .collect();
    assert_eq!(lines, [format!("nix2image: error: {message}")]);
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn a_builder_has_memory_of_small_pages() {
    let directory = temporary::directory();
    let attrs = directory.path().join("attrs.json");
    output(Command::new("mkfifo").arg(&attrs));
    let mut builder = nix2image()
        .env("NIX_ATTRS_JSON_FILE", &attrs)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Opened when the builder opens it; it waits for what stands in it then.
    let writer = fs::OpenOptions::new().write(true).open(&attrs).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", builder.id())).unwrap();
    drop(writer);
    builder.wait().unwrap();
    let pages = status.lines().find(|line| line.starts_with("THP_enabled"));
    assert_eq!(pages, Some("THP_enabled:\t0"));
}

#[test]
fn an_image_appears_at_out_with_phases_and_sizes_on_standard_error() {
    let derivation = Derivation::new(json!({ "selfCheck": true }));
    let output = derivation.build();
    let stderr = stderr(&output);
    assert!(output.status.success(), "{stderr}");
    let lines: Vec<_> = stderr.lines().collect();
    let phases: Vec<Value> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("@nix "))
        .map(|message| serde_json::from_str::<Value>(message).unwrap()["phase"].clone())
        .filter(|phase| !phase.is_null())
        .collect();
    assert_eq!(phases, ["gathering", "scanning", "writing", "checking"]);
    let summary = lines.iter().find(|line| !line.starts_with('@')).unwrap();
    let metadata = fs::metadata(derivation.out()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o644);
    let expected = format!("an image of {} bytes, in ", metadata.len());
    assert!(
        summary.starts_with("nix2image: 0 store paths, "),
        "{summary}"
    );
    assert!(summary.contains(&expected), "{summary}");
    e2fsck_is_silent(&derivation.out());
}

#[test]
fn an_image_in_a_directory_has_the_registration_beside_it() {
    let derivation = Derivation::new(json!({
        "output": "directory", "compression": "zstd", "selfCheck": true,
    }));
    let output = derivation.build();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        names(&derivation.out()),
        ["nix-path-registration", "nixos.img.zst"]
    );
}

#[test]
fn a_compressed_image_unpacks_to_the_one_that_is_not_compressed() {
    let plain = Derivation::new(json!({}));
    let compressed = Derivation::new(json!({ "compression": "zstd" }));
    for derivation in [&plain, &compressed] {
        let output = derivation.build();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let unpacked = zstd::stream::decode_all(fs::File::open(compressed.out()).unwrap()).unwrap();
    assert!(unpacked == fs::read(plain.out()).unwrap());
}

#[test]
fn a_wrong_attribute_is_a_wrong_request() {
    let derivation = Derivation::new(json!({ "ext4": { "label": "a label too long.." } }));
    assert_fails(
        &derivation.build(),
        2,
        "nix2image.ext4.label: the label \"a label too long..\" has 18 bytes; \
         an ext4 label has at most 16 and no NUL",
    );
    assert!(derivation.left_nothing());
}

#[test]
fn a_graph_that_is_not_provided_is_a_wrong_request() {
    let mut derivation = Derivation::new(json!({ "graphs": ["closuer"] }));
    derivation.attrs["exportReferencesGraph"] = json!({ "closure": [] });
    derivation.attrs["closure"] = json!([]);
    assert_fails(
        &derivation.build(),
        2,
        "nix2image.graphs[0]: \"closuer\" is no graph; exportReferencesGraph provides \"closure\"",
    );
}

#[test]
fn without_attributes_the_message_says_what_the_derivation_needs() {
    let output = output(nix2image().current_dir("/"));
    assert_fails(
        &output,
        2,
        "found no structured attributes: NIX_ATTRS_JSON_FILE is not set, \
         NIX_BUILD_TOP is not set, /.attrs.json (the working directory) does not exist; \
         the derivation needs `__structuredAttrs = true`",
    );
}

#[test]
fn a_number_of_cores_that_is_none_is_a_wrong_request() {
    let derivation = Derivation::new(json!({}));
    let output = output(derivation.builder().env("NIX_BUILD_CORES", "many"));
    assert_fails(
        &output,
        2,
        "NIX_BUILD_CORES: \"many\" is no number of threads, expected 0 (all) or more",
    );
}

#[test]
fn an_argument_is_a_wrong_request_and_help_is_not() {
    let unknown = output(nix2image().arg("--unknown"));
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("--unknown"));
    for argument in ["--help", "--version"] {
        let output = output(nix2image().arg(argument));
        assert!(output.status.success());
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains("nix2image")
        );
    }
}

#[test]
fn an_output_that_is_there_already_is_kept() {
    let derivation = Derivation::new(json!({}));
    fs::write(derivation.out(), "mine").unwrap();
    assert_fails(
        &derivation.build(),
        1,
        &format!(
            "{} is there already; remove it or choose another output",
            derivation.out().display()
        ),
    );
    assert_eq!(fs::read(derivation.out()).unwrap(), b"mine");
}

#[test]
fn a_source_that_is_not_in_the_store_is_a_wrong_request() {
    let item = json!({ "source": "/does/not/exist", "target": "/a" });
    let derivation = Derivation::new(json!({ "contents": [item] }));
    let output = derivation.build();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("contents[0].source is /does/not/exist"));
    assert!(derivation.left_nothing());
}

#[test]
fn a_signal_ends_the_build_and_leaves_nothing() {
    // Free space costs little, but to compress a tebibyte of it takes a while.
    let image = json!({ "compression": "zstd", "ext4": { "freeBytes": 1_u64 << 40 } });
    for signal in ["HUP", "INT", "TERM"] {
        let derivation = Derivation::new(image.clone());
        let log = derivation.directory.path().join("log");
        let log_file = fs::File::create(&log).unwrap();
        let mut child = start(derivation.builder().stderr(log_file));
        wait_for("writing", &log);
        let kill = format!("kill -{signal} {}", child.id());
        let killed = start(Command::new("sh").args(["-c", &kill]))
            .wait()
            .unwrap();
        assert!(killed.success());
        let status = child.wait().unwrap();
        let log = fs::read_to_string(&log).unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.ends_with("nix2image: error: interrupted\n"), "{log}");
        assert!(derivation.left_nothing());
    }
}

/// Until the process has said that a phase begins.
fn wait_for(phase: &str, log: &Path) {
    let begin = Instant::now();
    while !fs::read_to_string(log).unwrap().contains(phase) {
        assert!(begin.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(5));
    }
}
