//! Waiting until a virtual machine has given its free memory back to its host.
//!
//! What a run frees, an image of 1.7 GB say, the kernel gives back from two seconds later on
//! (free page reporting). While it does, whoever takes memory waits for the host, for as long as
//! a run takes or longer; and who comes after whom decides who that is. So a run begins when
//! all is given back. What is [kept](super::kept) and taken [before a run](super::peers::Tools::warm_up)
//! is at hand then.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// There if the kernel gives memory back.
const REPORTING: &str = "/sys/module/page_reporting/parameters";

/// KiB that were given back since the start, in [`REPORTING`]; not all kernels count them.
const REPORTED: &str = "reported_kib";

/// How long nothing must have been given back: longer than the kernel waits before it begins.
const QUIET: Duration = Duration::from_millis(2500);

/// How long we wait where nobody counts.
const UNCOUNTED: Duration = Duration::from_secs(4);

/// How long we wait where memory is given back all the time.
const LONGEST: Duration = Duration::from_secs(60);

/// How often we look.
const PERIOD: Duration = Duration::from_millis(100);

/// Whether the kernel gives memory back to a host.
pub(super) fn is_given_back() -> bool {
    Path::new(REPORTING).exists()
}

/// Returns when no memory is given back any more; at once where none is.
pub(super) fn settle() -> Result<()> {
    if !is_given_back() {
        return Ok(());
    }
    let counter = Path::new(REPORTING).join(REPORTED);
    if !counter.exists() {
        thread::sleep(UNCOUNTED);
        return Ok(());
    }
    let count =
        || fs::read_to_string(&counter).with_context(|| format!("reading {}", counter.display()));
    let begin = Instant::now();
    let mut last = count()?;
    let mut since = begin;
    while since.elapsed() < QUIET {
        if begin.elapsed() > LONGEST {
            eprintln!("    not calm: memory is given back to the host all the time");
            break;
        }
        thread::sleep(PERIOD);
        let now = count()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(())
}
