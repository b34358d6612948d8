//! Measuring one run of a command: time, peak memory, and what it left.

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Size;
use super::peers::{Peer, Role, Tools};
use super::rows::{Row, Source};
use super::settle::settle;
use super::stores;

/// One run.
pub(super) struct Run {
    pub(super) elapsed: Duration,
    /// Of all cores, in user and kernel mode.
    pub(super) cpu_seconds: f64,
    pub(super) outcome: Outcome,
    /// What passes between the beginning of the scan and the first byte of an image that is
    /// written, if it says when.
    planning: Option<Duration>,
    /// Of the largest process.
    pub(super) peak_bytes: u64,
    /// The length of the image.
    pub(super) image_length: u64,
    /// That the image takes of its filesystem, and nothing else had before.
    pub(super) image_bytes: u64,
    /// That were read from the disk, if none of them was in memory.
    pub(super) read_bytes: Option<u64>,
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
pub(super) struct Measured(pub(super) Vec<(&'static Peer, Runs)>);

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
    make_ready(tools, row, peer)?;
    if size == Size::Full {
        settle()?;
    }
    let read_before = read_bytes(row)?;
    let free_before = free_bytes(tools, row)?;

    let usage = tools.scratch.path().join("usage");
    let mut command = timed(&(peer.command)(tools, row), tools, size, &usage);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("running {}", peer.name))?;
    let said = child.stderr.take().context("stderr is piped")?;
    let (planning, last_line) = listen(said)?;
    let status = child.wait()?;
    let elapsed = begin.elapsed();

    let mut outcome = match status.code() {
        Some(0) => Outcome::Done,
        Some(STOPPED) => Outcome::Stopped,
        _ => Outcome::Failed(last_line),
    };
    let read_bytes = read_bytes(row)?.zip(read_before);
    let image = fs::metadata(tools.image());
    let image_bytes = match free_bytes(tools, row)?.zip(free_before) {
        Some((after, before)) => before.saturating_sub(after),
        None => image.as_ref().map_or(0, |image| image.blocks() * 512),
    };
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
        planning,
        peak_bytes: peak_kib << 10,
        image_length: image.map_or(0, |image| image.len()),
        image_bytes,
        read_bytes: read_bytes.map(|(after, before)| after - before),
    })
}

/// Bytes of files, and of more, for which memory is taken only once before a run, and a copy that
/// nobody reads takes none: little would be left.
const LARGE: u64 = 4 << 30;

/// Makes the place empty, reads all that will be read, and takes as much memory; or forgets all
/// that was read.
fn make_ready(tools: &Tools, row: &Row, peer: &Peer) -> Result<()> {
    let is_large = row.content.bytes >= LARGE;
    if is_large && row.staged.exists() && peer.reads != Source::Copy {
        row.forget_copy()?;
    }
    tools.warm_up(&row.list(peer.reads), !is_large)?;
    if let Some(store) = row.store.as_ref().filter(|_| row.is_cold) {
        store.chill()?;
    }
    remove(&tools.image())?;
    fs::create_dir(tools.work())?;
    Ok(())
}

/// Bytes that were read from the row's own disk, if they are counted.
fn read_bytes(row: &Row) -> Result<Option<u64>> {
    let store = row.store.as_ref().filter(|_| row.is_cold);
    store.map(stores::Store::read_bytes).transpose()
}

/// Free bytes of the filesystem of the image, if that can share blocks.
fn free_bytes(tools: &Tools, row: &Row) -> Result<Option<u64>> {
    let path = row.writes_beside.then(|| tools.scratch.path());
    path.map(stores::free_bytes).transpose()
}

/// Reads what a run says until it ends: how long it was from the beginning of the scan to that
/// of writing, and the last line.
fn listen(said: impl Read) -> Result<(Option<Duration>, String)> {
    let mut scanning = None;
    let mut planning = None;
    let mut last = String::new();
    for line in BufReader::new(said).split(b'\n') {
        let line = line?;
        match &line[..] {
            b"nix2image: scanning" => scanning = Some(Instant::now()),
            b"nix2image: writing" => planning = scanning.map(|scanning| scanning.elapsed()),
            _ => {}
        }
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            text.trim().clone_into(&mut last);
        }
    }
    Ok((planning, last))
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

    /// How often `peer` runs in all, of `rounds`: less often if it is slow and not what we claim
    /// something of, once if it fails.
    pub(super) fn wanted(&self, peer: &Peer, rounds: usize) -> usize {
        const SLOW: Duration = Duration::from_secs(6);
        const VERY_SLOW: Duration = Duration::from_secs(40);
        let is_claimed = matches!(peer.role, Role::Ours | Role::Limit);
        match self.0.first() {
            Some(run) if !matches!(run.outcome, Outcome::Done) => 1,
            Some(run) if run.elapsed > VERY_SLOW && !is_claimed => 1,
            Some(run) if run.elapsed > SLOW && !is_claimed => rounds.min(3),
            _ => rounds,
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

    /// How long it took until it was stopped, if it was.
    pub(super) fn stopped(&self) -> Option<Duration> {
        let run = self.first()?;
        matches!(run.outcome, Outcome::Stopped).then_some(run.elapsed)
    }

    /// The median of what they took of all cores.
    pub(super) fn cpu_seconds(&self) -> f64 {
        let mut seconds: Vec<_> = self.0.iter().map(|run| run.cpu_seconds).collect();
        seconds.sort_unstable_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied().unwrap_or(0.0)
    }

    /// Which part of the time scan, tree and layout take: the median.
    pub(super) fn share_of_planning(&self) -> Option<f64> {
        let share = |run: &Run| {
            let planning = run.planning?;
            Some(planning.as_secs_f64() / run.elapsed.as_secs_f64())
        };
        let mut shares = self.0.iter().map(share).collect::<Option<Vec<_>>>()?;
        shares.sort_unstable_by(f64::total_cmp);
        shares.get(shares.len() / 2).copied()
    }

    /// The most of all runs.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.0.iter().map(|run| run.peak_bytes).max().unwrap_or(0)
    }

    /// The most that the image took in any run.
    pub(super) fn image_bytes(&self) -> u64 {
        self.0.iter().map(|run| run.image_bytes).max().unwrap_or(0)
    }

    /// The most that were read from the disk in any run, if they were counted.
    pub(super) fn read_bytes(&self) -> Option<u64> {
        self.0.iter().filter_map(|run| run.read_bytes).max()
    }
}

impl Measured {
    /// The runs of the peer `name`.
    pub(super) fn of(&self, name: &str) -> Option<&Runs> {
        let (_, runs) = self.0.iter().find(|(peer, _)| peer.name == name)?;
        Some(runs)
    }

    /// The median of the peer `name`, in seconds.
    pub(super) fn seconds(&self, name: &str) -> Option<f64> {
        Some(self.of(name)?.median()?.as_secs_f64())
    }

    /// The runs of the fastest of a role.
    pub(super) fn fastest(&self, role: Role) -> Option<&Runs> {
        let peers = self.0.iter().filter(|(peer, _)| peer.role == role);
        let timed = peers.filter_map(|(_, runs)| Some((runs.median()?, runs)));
        timed
            .min_by_key(|(median, _)| *median)
            .map(|(_, runs)| runs)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_before_writing_and_the_last_line_are_heard() {
        let said = "nix2image: scanning\nnix2image: writing\n error: all\n\n";
        let (planning, last) = listen(said.as_bytes()).unwrap();
        assert!(planning.is_some());
        assert_eq!(last, "error: all");
        let (planning, last) = listen(&b"writing\n"[..]).unwrap();
        assert!(planning.is_none());
        assert_eq!(last, "writing");
    }
}
