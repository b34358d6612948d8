//! What we claim of the forms of a closure and of the database, beside what was measured.

use anyhow::{Context as _, Result};
use xshell::cmd;

use super::containers::names as containers;
use super::forms::names;
use super::measure::Measured;
use super::peers::Tools;
use crate::workspace::Workspace;

/// Store paths in a database, and the milliseconds that it may take at most.
const DATABASES: [(u32, f64); 2] = [(285, 20.0), (20_000, 1000.0)];

/// A line for each claim about `forms`, from the medians.
pub(super) fn of_forms(forms: &Measured) -> Vec<String> {
    let lines = seconds(forms, names::PLAIN).and_then(|plain| {
        let verify = seconds(forms, names::VERIFY)?;
        let hashing = seconds(forms, names::HASHING)?;
        let export = seconds(forms, names::EXPORT)?;
        let zstd_export = seconds(forms, names::ZSTD_EXPORT)?;
        let unzstd = seconds(forms, names::UNZSTD)?;
        let tenth = plain / 10.0;
        Some(vec![
            format!(
                "`verify`: {:.2} s more than without; hashing alone {hashing:.2} s + a tenth of the copy {tenth:.2} s: {}",
                verify - plain,
                judge(verify - plain, hashing + tenth)
            ),
            format!(
                "an export: {export:.2} s; `verify` {verify:.2} s: {}",
                judge(export, verify)
            ),
            format!(
                "an export in zstd: {zstd_export:.2} s; `verify` {verify:.2} s + `zstd -d` {unzstd:.2} s: {}",
                judge(zstd_export, verify + unzstd)
            ),
        ])
    });
    lines.unwrap_or_else(|| vec!["of the forms: not all of them were measured".into()])
}

/// A line for each claim about `measured`, of containers, from the medians.
pub(super) fn of_containers(measured: &Measured) -> Vec<String> {
    let claims = [
        ("a disk", containers::DISK, containers::RAW, 1.05),
        ("a qcow2 image", containers::QCOW2, containers::RAW, 1.2),
        ("a fixed VHD", containers::FIXED_VHD, containers::RAW, 1.1),
        (
            "a dynamic VHD",
            containers::DYNAMIC_VHD,
            containers::RAW,
            1.1,
        ),
        ("zstd", containers::ZSTD, containers::ZSTD_ALONE, 1.1),
        (
            "compressed qcow2",
            containers::COMPRESSED_QCOW2,
            containers::QEMU_COMPRESSED,
            1.1,
        ),
    ];
    let line = |(what, peer, other, times)| {
        let taken = seconds(measured, peer)?;
        let base = seconds(measured, other)?;
        Some(format!(
            "{what}: {taken:.2} s; at most {times} times {base:.2} s of {other}: {}",
            judge(taken, times * base)
        ))
    };
    claims
        .into_iter()
        .map(|claim| line(claim).unwrap_or_else(|| format!("{}: not measured", claim.0)))
        .collect()
}

/// Makes databases, and gives a line for each.
pub(super) fn of_databases(workspace: &Workspace, tools: &Tools) -> Result<Vec<String>> {
    let database = tools.peers.join("database");
    let line = |(paths, allowed): (u32, f64)| {
        let number = paths.to_string();
        let taken = cmd!(workspace.shell, "{database} {number}")
            .quiet()
            .read()?;
        let taken: f64 = taken.parse().context("`database` prints no number")?;
        Ok(format!(
            "the database of {paths} paths: {taken:.1} ms; at most {allowed:.0} ms: {}",
            judge(taken, allowed)
        ))
    };
    DATABASES.into_iter().map(line).collect()
}

/// The median of the peer `name`.
fn seconds(measured: &Measured, name: &str) -> Option<f64> {
    let (_, runs) = measured.iter().find(|(peer, _)| peer.name == name)?;
    Some(runs.median()?.as_secs_f64())
}

/// What `taken` is of `allowed`, which is what it may be at most.
fn judge(taken: f64, allowed: f64) -> String {
    let outcome = if taken <= allowed {
        "holds"
    } else {
        "does not hold"
    };
    format!("{:.2} of it, {outcome}", taken / allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_as_long_as_it_may_holds() {
        assert_eq!(judge(2.0, 2.0), "1.00 of it, holds");
        assert_eq!(judge(2.1, 2.0), "1.05 of it, does not hold");
    }
}
