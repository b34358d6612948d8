//! Commands whose failure is the test's, with all that they said.

use std::process::{Command, Output};

/// Runs `command` to its success; gives its stdout.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{}", describe(command, &output));
    text(&output.stdout)
}

/// Runs `command` to its failure; gives its stderr.
#[track_caller]
pub(crate) fn run_to_failure(command: &mut Command) -> String {
    let output = output(command);
    assert!(!output.status.success(), "{}", describe(command, &output));
    text(&output.stderr)
}

/// Runs `command` to its end, however it ends.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot start {command:?}: {error}"),
    }
}

/// What a failed test shows of a command: all of it.
pub(crate) fn describe(command: &Command, output: &Output) -> String {
    format!(
        "{command:?}: {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
