//! The table, in Markdown.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use xshell::cmd;

use super::measure::{Measured, Outcome, Runs};
use super::peers::Role;
use super::rows::{Row, meminfo};
use super::{Rows, Size};
use crate::workspace::Workspace;

const HEAD: &str = "\
| who | seconds: median (least to most) | runs | of ours | of the limit | CPU seconds | peak MB | image MB |
|---|---|---|---|---|---|---|---|";

/// When, where and of what; and the head of the table.
pub(super) fn head(workspace: &Workspace, size: Size, rows: Rows) -> Result<String> {
    let shell = &workspace.shell;
    let read = |command: xshell::Cmd<'_>| command.quiet().ignore_stderr().read();
    let command = match (size, rows) {
        (Size::Quick, _) => "cargo xtask bench --quick",
        (Size::Full, Rows::All) => "cargo xtask bench",
        (Size::Full, Rows::Forms) => "cargo xtask bench --forms",
        (Size::Full, Rows::Containers) => "cargo xtask bench --containers",
    };
    let commit = read(cmd!(shell, "git describe --always --dirty --exclude *"))?;
    let date = read(cmd!(shell, "date --utc +%Y-%m-%d"))?;
    let kernel = read(cmd!(shell, "uname -sr"))?;
    let mke2fs = cmd!(shell, "mke2fs -V").quiet().read_stderr()?;
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<&str> = cpus
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(format!(
        "\
- `{command}`, {date}, commit {commit}
- {} cores ({}), {} GB of memory, {kernel}, load before the first run: {}
- {}

{HEAD}",
        models.len(),
        models.first().unwrap_or(&"of a kind that does not say"),
        meminfo("MemTotal")? / 1_000_000_000,
        load.split(' ').next().unwrap_or_default(),
        mke2fs.lines().next().unwrap_or_default(),
    ))
}

/// The lines of a row.
pub(super) fn lines(row: &Row, measured: &Measured) -> String {
    let of = |role| {
        let peers = measured.iter();
        peers.filter_map(move |(peer, runs)| (peer.role == role).then(|| runs.median())?)
    };
    let ours = of(Role::Ours).min();
    let limit = of(Role::Limit).min();
    let mut lines = vec![format!(
        "| **{}**: {} MB, {} entries, store paths: {}; names with a space: {} | | | | | | | |",
        row.name,
        megabytes(row.content.bytes),
        row.content.entries,
        row.store_paths,
        row.content.names_with_space,
    )];
    for (peer, runs) in measured {
        let is_limit = peer.role == Role::Limit && runs.median() == limit;
        let name = match row.content.names_with_space {
            _ if is_limit => format!("**{}**", peer.name),
            left_out @ 1.. if peer.role == Role::OtherWithoutSpaces => {
                format!("{}; without {left_out} names with a space", peer.name)
            }
            _ => peer.name.to_owned(),
        };
        lines.push(line(&name, runs, [ours, limit]));
    }
    lines.join("\n")
}

fn line(name: &str, runs: &Runs, bases: [Option<Duration>; 2]) -> String {
    let Some(first) = runs.first() else {
        return format!("| {name} | | | | | | | |");
    };
    let times = runs.times();
    let seconds = |index: usize| times.get(index).map_or(0.0, Duration::as_secs_f64);
    let last = times.len().saturating_sub(1);
    let (time, bound) = match &first.outcome {
        Outcome::Done => (
            format!(
                "{:.2} ({:.2} to {:.2})",
                seconds(times.len() / 2),
                seconds(0),
                seconds(last)
            ),
            "",
        ),
        Outcome::Stopped => (format!("> {:.0}, stopped", seconds(0)), "> "),
        outcome => (format!("{:.2}, {outcome}", seconds(0)), "("),
    };
    let [ours, limit] = bases.map(|base| {
        base.map_or(String::new(), |base| {
            let ratio = seconds(times.len() / 2) / base.as_secs_f64();
            let end = if bound == "(" { ")" } else { "" };
            format!("{bound}{ratio:.2}{end}")
        })
    });
    let image = match first.outcome {
        Outcome::Done | Outcome::Unclean => megabytes(first.image_bytes).to_string(),
        _ => String::new(),
    };
    format!(
        "| {name} | {time} | {} | {ours} | {limit} | {:.2} | {} | {image} |",
        runs.count(),
        runs.cpu_seconds(),
        megabytes(runs.peak_bytes()),
    )
}

fn megabytes(bytes: u64) -> u64 {
    (bytes + 500_000) / 1_000_000
}
