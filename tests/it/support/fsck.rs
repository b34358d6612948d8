//! e2fsck, the judge of every image.

use std::path::Path;
use std::process::Command;

use super::command::{describe, output};

/// Fails unless e2fsck, forced and changing nothing, has nothing to say of
/// `image`: its version, the five passes, the summary, and no line more.
#[track_caller]
pub(crate) fn e2fsck_is_silent(image: &Path) {
    let mut command = Command::new("e2fsck");
    command.arg("-fn").arg(image);
    let output = output(&mut command);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && is_usual_report(&stdout) && is_banner(&stderr),
        "e2fsck is not silent\n{}",
        describe(&command, &output)
    );
}

fn is_usual_report(stdout: &str) -> bool {
    let lines: Vec<&str> = stdout.lines().collect();
    let [passes @ .., summary] = &lines[..] else {
        return false;
    };
    passes.len() == 5
        && (1..)
            .zip(passes)
            .all(|(number, line)| line.starts_with(&format!("Pass {number}: ")))
        && summary.contains(" files (")
        && summary.ends_with(" blocks")
}

fn is_banner(stderr: &str) -> bool {
    stderr.lines().count() == 1 && stderr.starts_with("e2fsck 1.")
}
