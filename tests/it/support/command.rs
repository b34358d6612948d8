//! Commands whose failure is the test's, with all that they said.

use std::process::{Child, Command, Output, Stdio};
use std::sync::{PoisonError, RwLock};

/// Held by who starts a process, until that has its own program.
static STARTING: RwLock<()> = RwLock::new(());

/// Starts `command`.
#[track_caller]
pub(crate) fn start(command: &mut Command) -> Child {
    match starting(|| command.spawn()) {
        Ok(child) => child,
        Err(error) => panic!("cannot start {command:?}: {error}"),
    }
}

/// Does what starts processes by itself.
pub(crate) fn starting<T>(work: impl FnOnce() -> T) -> T {
    let _starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    work()
}

/// Waits until every process that was started has its own program. Before, it has open
/// what any thread of ours had open, and has closed since: a filesystem is busy then.
pub(crate) fn wait_for_starts() {
    drop(STARTING.write().unwrap_or_else(PoisonError::into_inner));
}

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
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = start(command);
    child.wait_with_output().expect("it was started")
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
