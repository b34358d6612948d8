//! The table, in Markdown.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use xshell::cmd;

use super::Request;
use super::claims::{Claim, megabytes};
use super::measure::{Measured, Outcome, Runs};
use super::peers::Role;
use super::rows::{Row, meminfo};
use crate::workspace::Workspace;

/// The head of the table.
pub(super) const HEAD: &str = "\
| who | seconds: median (least to most) | runs | of ours | of the limit | scan, tree, layout | CPU seconds | peak MB | image MB |
|---|---|---|---|---|---|---|---|---|";

/// When, where and of what.
pub(super) fn circumstances(workspace: &Workspace, request: Request) -> Result<String> {
    let shell = &workspace.shell;
    let read = |command: xshell::Cmd<'_>| command.quiet().ignore_stderr().read();
    let command = request.command();
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
- {}",
        models.len(),
        models.first().unwrap_or(&"of a kind that does not say"),
        meminfo("MemTotal")? / 1_000_000_000,
        load.split(' ').next().unwrap_or_default(),
        mke2fs.lines().next().unwrap_or_default(),
    ))
}

/// The lines of a row.
pub(super) fn lines(row: &Row, measured: &Measured) -> String {
    let of = |role| measured.fastest(role).and_then(Runs::median);
    let ours = of(Role::Ours);
    let limit = of(Role::Limit);
    let mut lines = vec![format!(
        "| **{}**: {} MB, {} entries, store paths: {}; names with a space: {} | | | | | | | | |",
        row.name,
        megabytes(row.content.bytes),
        row.content.entries,
        row.paths.len(),
        row.content.names_with_space,
    )];
    for (peer, runs) in &measured.0 {
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
        return format!("| {name} | | | | | | | | |");
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
        Outcome::Done | Outcome::Unclean => megabytes(runs.image_bytes()).to_string(),
        _ => String::new(),
    };
    let planning = runs.share_of_planning();
    let planning = planning.map_or(String::new(), |share| format!("{:.0} %", share * 100.0));
    format!(
        "| {name} | {time} | {} | {ours} | {limit} | {planning} | {:.2} | {} | {image} |",
        runs.count(),
        runs.cpu_seconds(),
        megabytes(runs.peak_bytes()),
    )
}

/// What is claimed, and what was found, as a table.
pub(super) fn measures(claims: &[Claim]) -> String {
    let mut lines = vec!["| measure | aim | found | |\n|---|---|---|---|".into()];
    lines.extend(claims.iter().map(Claim::row));
    lines.join("\n")
}

/// The sizes of the images of a row, beside those of the first peer, as a table.
pub(super) fn sizes(measured: &Measured) -> String {
    let mut lines = vec![
        "| setting | bytes of the image | of them written | fewer | fewer written |\n|---|---|---|---|---|"
            .to_owned(),
    ];
    let sizes = |runs: &Runs| {
        let first = runs.first()?;
        matches!(first.outcome, Outcome::Done).then_some((first.image_length, first.image_bytes))
    };
    let base = measured.0.first().and_then(|(_, runs)| sizes(runs));
    for (peer, runs) in &measured.0 {
        lines.push(match (sizes(runs), base) {
            (Some((length, written)), Some((base_length, base_written))) => format!(
                "| {} | {length} | {written} | {} | {} |",
                peer.name,
                difference(base_length, length),
                difference(base_written, written),
            ),
            _ => format!("| {} | not measured | | | |", peer.name),
        });
    }
    lines.join("\n")
}

/// How much less `now` is than `before`, in MB.
fn difference(before: u64, now: u64) -> String {
    let bytes = super::claims::float(before.abs_diff(now));
    let sign = if now > before { "-" } else { "" };
    format!("{sign}{:.1} MB", bytes / 1e6)
}
