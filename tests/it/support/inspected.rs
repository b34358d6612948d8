//! What `nix2image inspect` and `verify` say.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::command::{describe, output};
use super::documented::names_all_fields;
use super::temporary;

/// `nix2image` with a command, and with no environment but a place for temporary files.
pub(crate) fn nix2image(command: &str, image: &Path) -> Command {
    let mut nix2image = Command::new(env!("CARGO_BIN_EXE_nix2image"));
    nix2image.env_clear().arg(command).arg(image);
    // Where the tests have theirs.
    let temporary = temporary::directory();
    nix2image.env("TMPDIR", temporary.path().parent().unwrap());
    nix2image
}

/// What `inspect` says of `image`, as JSON of version 1.
#[track_caller]
pub(crate) fn inspected(image: &Path) -> Value {
    json_of(nix2image("inspect", image).arg("--json"))
}

/// What `inspect IMAGE ls` lists, with other arguments, the path the last.
#[track_caller]
pub(crate) fn listed<A: AsRef<OsStr>>(image: &Path, arguments: &[A]) -> Vec<Value> {
    let mut command = nix2image("inspect", image);
    let mut json = json_of(command.args(["ls", "--json"]).args(arguments));
    match json["entries"].take() {
        Value::Array(entries) => entries,
        other => panic!("{other}"),
    }
}

/// What `inspect IMAGE cat` writes, with other arguments, the path the last.
#[track_caller]
pub(crate) fn content<A: AsRef<OsStr>>(image: &Path, arguments: &[A]) -> Vec<u8> {
    let mut command = nix2image("inspect", image);
    let output = output(command.arg("cat").args(arguments));
    assert!(output.status.success(), "{}", describe(&command, &output));
    output.stdout
}

/// The JSON that a command prints, of version 1.
#[track_caller]
pub(crate) fn json_of(command: &mut Command) -> Value {
    let output = output(command);
    assert!(output.status.success(), "{}", describe(command, &output));
    json(&output)
}

/// The JSON in the standard output of a command, of version 1.
#[track_caller]
pub(crate) fn json(output: &Output) -> Value {
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["version"], 1);
    names_all_fields("docs/inspect.md", &json);
    json
}

/// The one line by which a command refuses, with the exit code `code`; of nothing else
/// anything is written.
#[track_caller]
pub(crate) fn refusal(command: &mut Command, code: i32) -> String {
    let output = output(command);
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(
        output.status.code() == Some(code) && output.stdout.is_empty(),
        "{}",
        describe(command, &output)
    );
    let line = stderr.strip_prefix("nix2image: error: ");
    let line = line.and_then(|line| line.strip_suffix('\n'));
    match line {
        Some(line) if !line.contains('\n') => line.to_owned(),
        _ => panic!("{}", describe(command, &output)),
    }
}
