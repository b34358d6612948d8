//! A step of a command: announced, timed, and named when it fails.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Does `work`, saying what it is and how long it took.
pub(crate) fn step<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("\n==> {title}");
    let begin = Instant::now();
    let result = work();
    let outcome = if result.is_ok() { "done" } else { "FAILED" };
    eprintln!("==> {title}: {outcome}, {}", seconds(begin.elapsed()));
    result.with_context(|| title.to_owned())
}

/// `duration` for a person to read.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
