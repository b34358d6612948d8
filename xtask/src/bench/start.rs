//! The start of the builder: until it says that there are no attributes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::peers::Tools;

const STARTS: usize = 200;

/// How long a start takes: the median of many.
pub(super) fn measure(tools: &Tools) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        let status = Command::new(&tools.builder)
            .env_clear()
            .current_dir(tools.scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("running our builder")?;
        times.push(begin.elapsed());
        ensure!(
            !status.success(),
            "our builder makes an image of no attributes"
        );
    }
    times.sort_unstable();
    times.get(STARTS / 2).copied().context("no start was timed")
}
