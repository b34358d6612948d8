//! Measuring one run of a command: time, peak memory, and what it left.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Size;
use super::peers::{Peer, Role, Tools};
use super::rows::Row;

/// One run.
pub(super) struct Run {
    pub(super) elapsed: Duration,
    /// Of all cores, in user and kernel mode.
    pub(super) cpu_seconds: f64,
    pub(super) outcome: Outcome,
    /// Of the largest process.
    pub(super) peak_bytes: u64,
    /// That the image takes on tmpfs.
    pub(super) image_bytes: u64,
}

pub(super) enum Outcome {
    Done,
    /// It took longer than we wait.
    Stopped,
    /// It failed by itself; its last line on stderr.
    Failed(String),
    /// It says that all is well, and e2fsck does not.
    Unclean,
}

/// The runs of one peer on one row.
#[derive(Default)]
pub(super) struct Runs(Vec<Run>);

/// All peers of a row, with their runs.
pub(super) type Measured = [(&'static Peer, Runs)];

/// What timeout(1) ends with when it had to stop the command.
const STOPPED: i32 = 124;

/// Runs `peer` on `row`, and removes what it makes.
pub(super) fn run(
    tools: &Tools,
    row: &Row,
    peer: &Peer,
    size: Size,
    is_first: bool,
) -> Result<Run> {
    let warm_up = tools.warm_up(&row.list(peer.reads)).status()?;
    ensure!(warm_up.success(), "the reading before a run failed");
    remove(&tools.image())?;
    fs::create_dir(tools.work())?;

    let usage = tools.scratch.path().join("usage");
    let errors = tools.scratch.path().join("errors");
    let mut command = timed(&(peer.command)(tools, row), tools, size, &usage);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&errors)?);
    let begin = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("running {}", peer.name))?;
    let elapsed = begin.elapsed();

    let mut outcome = match status.code() {
        Some(0) => Outcome::Done,
        Some(STOPPED) => Outcome::Stopped,
        _ => {
            let errors = fs::read(&errors)?;
            let errors = String::from_utf8_lossy(&errors);
            Outcome::Failed(
                errors
                    .trim()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim()
                    .into(),
            )
        }
    };
    let image_bytes = fs::metadata(tools.image()).map_or(0, |image| image.blocks() * 512);
    let is_filesystem = !matches!(peer.role, Role::Limit | Role::Part | Role::Contained);
    if is_first && is_filesystem && matches!(outcome, Outcome::Done) && !is_clean(&tools.image())? {
        outcome = Outcome::Unclean;
    }
    let (peak_kib, cpu_seconds) = parse_usage(&fs::read_to_string(&usage)?)
        .context("time(1) says something else than it should")?;
    remove(&tools.image())?;
    fs::remove_dir_all(tools.work())?;
    Ok(Run {
        elapsed,
        cpu_seconds,
        outcome,
        peak_bytes: peak_kib << 10,
        image_bytes,
    })
}

/// `command` under time(1), whose own memory is next to nothing, and timeout(1).
fn timed(command: &Command, tools: &Tools, size: Size, usage: &Path) -> Command {
    let mut timed = Command::new("time");
    timed
        .env("PATH", &tools.path)
        .env("RUST_BACKTRACE", "0")
        .args(["--quiet", "--format=%M %U %S", "--output"])
        .arg(usage)
        .args(["timeout", "--kill-after=5"])
        .arg(size.patience_seconds().to_string())
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            timed.env(name, value);
        }
    }
    timed
}

/// KiB, and seconds in user and kernel mode together.
fn parse_usage(text: &str) -> Option<(u64, f64)> {
    let mut words = text.split_whitespace();
    let peak_kib = words.next()?.parse().ok()?;
    let user: f64 = words.next()?.parse().ok()?;
    let kernel: f64 = words.next()?.parse().ok()?;
    Some((peak_kib, user + kernel))
}

fn is_clean(image: &Path) -> Result<bool> {
    let check = Command::new("e2fsck")
        .arg("-fn")
        .arg(image)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(check.success())
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        _ => Ok(()),
    }
}

impl Runs {
    pub(super) fn add(&mut self, run: Run) {
        self.0.push(run);
    }

    /// How often it runs in all: less often if it is slow, once if it fails.
    pub(super) fn wanted(&self, size: Size) -> usize {
        const SLOW: Duration = Duration::from_secs(5);
        const VERY_SLOW: Duration = Duration::from_secs(15);
        match self.0.first() {
            Some(run) if !matches!(run.outcome, Outcome::Done) => 1,
            Some(run) if run.elapsed > VERY_SLOW => 1,
            Some(run) if run.elapsed > SLOW => 3,
            _ => size.rounds(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The first run, which says how all ended.
    pub(super) fn first(&self) -> Option<&Run> {
        self.0.first()
    }

    /// The times, in order.
    pub(super) fn times(&self) -> Vec<Duration> {
        let mut times: Vec<_> = self.0.iter().map(|run| run.elapsed).collect();
        times.sort_unstable();
        times
    }

    /// The median of the times, if it did what it should.
    pub(super) fn median(&self) -> Option<Duration> {
        let is_done = |run: &Run| matches!(run.outcome, Outcome::Done);
        let times = self.times();
        let middle = times.get(times.len() / 2).copied();
        middle.filter(|_| self.0.iter().all(is_done))
    }

    /// The median of what they took of all cores.
    pub(super) fn cpu_seconds(&self) -> f64 {
        let mut seconds: Vec<_> = self.0.iter().map(|run| run.cpu_seconds).collect();
        seconds.sort_unstable_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied().unwrap_or(0.0)
    }

    pub(super) fn peak_bytes(&self) -> u64 {
        self.0.iter().map(|run| run.peak_bytes).max().unwrap_or(0)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.elapsed.as_secs_f64())?;
        match &self.outcome {
            Outcome::Done => Ok(()),
            outcome => write!(f, ", {outcome}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Unclean => f.write_str("done, but e2fsck finds errors"),
        }
    }
}
