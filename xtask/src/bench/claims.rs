//! What we claim, beside what was measured.

use anyhow::{Context as _, Result};
use xshell::cmd;

use super::containers::names as containers;
use super::forms::names as forms;
use super::kinds::Kind;
use super::measure::{Measured, Runs};
use super::peers::{Role, Tools, names};
use super::rows::{Content, Row};
use super::smaller::names as smaller;
use super::start;
use super::stores::Filesystem;
use crate::workspace::Workspace;

/// Store paths in a database, and the milliseconds that it may take at most.
const DATABASES: [(u32, f64); 2] = [(285, 20.0), (20_000, 1000.0)];

/// Milliseconds to an error about missing attributes.
const START: f64 = 5.0;

/// A measure, what is aimed at, and what was found.
pub(super) struct Claim {
    measure: String,
    aim: String,
    found: String,
    verdict: Verdict,
}

enum Verdict {
    /// What was found is this part of what it may be at most.
    Of(f64),
    Holds(bool),
    /// Nothing is aimed at.
    Said,
    /// Somebody who is needed for it failed, or was stopped.
    NotMeasured,
}

/// A row that was measured.
pub(super) struct Done {
    pub(super) kind: Kind,
    pub(super) content: Content,
    pub(super) measured: Measured,
}

/// All rows that were measured.
#[derive(Default)]
pub(super) struct Results(pub(super) Vec<Done>);

/// What we claim of each row that was measured.
pub(super) fn of_rows(results: &Results) -> Vec<Claim> {
    results
        .0
        .iter()
        .flat_map(|done| match done.kind {
            Kind::Closure => of_closure(done),
            Kind::HugePages => of_others("the closure to huge pages", &done.measured),
            Kind::Forms => of_forms(&done.measured),
            Kind::Deduplicated => vec![of_deduplicated(done)],
            Kind::Containers => of_containers(&done.measured),
            Kind::LargeFiles => of_large_files(done),
            Kind::LargeCrowd => vec![of_crowd(done, results)],
            Kind::ManyFiles => of_many_files(done, results),
            Kind::LargeFilesOn(filesystem) => of_shared_files(filesystem, done),
            Kind::ClosureOn(filesystem) => of_shared_closure(filesystem, done),
            Kind::Cold => vec![of_cold(done)],
            Kind::Crowd | Kind::Settings | Kind::ManyBytes => Vec::new(),
        })
        .collect()
}

fn of_closure(done: &Done) -> Vec<Claim> {
    let measured = &done.measured;
    let mut claims = of_others("the closure", measured);
    claims.push(of_memory("the closure", measured, 150));
    let measure = "scan, tree and layout of the closure";
    claims.push(Claim::some(measure, || {
        let share = measured.of(names::OURS)?.share_of_planning()?;
        let found = format!("{:.1} % of the time", share * 100.0);
        Some(Claim::at_most(
            measure,
            "at most 15 %".into(),
            found,
            share,
            0.15,
        ))
    }));
    claims
}

/// `what`, which is the closure, beside the limit and beside others.
fn of_others(what: &str, measured: &Measured) -> Vec<Claim> {
    let mut claims = vec![of_limit(what, measured, 1.15)];
    for (who, name, times) in [
        ("`mke2fs -d`", names::MKE2FS, Some(5.0)),
        ("a copy and `mke2fs -d`", names::COPY_AND_MKE2FS, None),
        ("mkext4", names::MKEXT4, Some(1.8)),
        ("nixpkgs' steps", names::NIXPKGS_TODAY, Some(15.0)),
        ("nixpkgs' first steps", names::NIXPKGS_FIRST, None),
    ] {
        let measure = format!("{what}, beside {who}");
        claims.push(Claim::some(&measure, || {
            let ours = measured.seconds(names::OURS)?;
            let theirs = measured.seconds(name)?;
            let found = format!(
                "{ours:.2} s and {theirs:.2} s: {:.1} times faster",
                theirs / ours
            );
            Some(match times {
                Some(times) => {
                    let aim = format!("at least {times} times faster");
                    Claim::at_most(&measure, aim, found, ours, theirs / times)
                }
                None => Claim::said(&measure, found),
            })
        }));
    }
    claims
}

fn of_forms(measured: &Measured) -> Vec<Claim> {
    let seconds = |name| measured.seconds(name);
    let beside = |measure: &str, aim: &str, name, allowed: &dyn Fn() -> Option<f64>| {
        Claim::some(measure, || {
            let (taken, allowed) = (seconds(name)?, allowed()?);
            let aim = format!("{aim}: {allowed:.2} s");
            let found = format!("{taken:.2} s");
            Some(Claim::at_most(measure, aim, found, taken, allowed))
        })
    };
    vec![
        beside(
            "the closure with `verify = true`",
            "at most hashing alone and 1.1 times the copy",
            forms::VERIFY,
            &|| Some(seconds(forms::HASHING)? + 1.1 * seconds(forms::PLAIN)?),
        ),
        beside(
            "an export of the closure",
            "at most `verify`",
            forms::EXPORT,
            &|| seconds(forms::VERIFY),
        ),
        beside(
            "an export in zstd",
            "at most `verify` and `zstd -d`",
            forms::ZSTD_EXPORT,
            &|| Some(seconds(forms::VERIFY)? + seconds(forms::UNZSTD)?),
        ),
    ]
}

fn of_deduplicated(done: &Done) -> Claim {
    let measure = "the closure with `deduplicate = true`";
    Claim::some(measure, || {
        let of = |name| {
            let seconds = done.measured.seconds(name)?;
            Some((seconds, done.measured.of(name)?.image_bytes()))
        };
        let (plain, plain_bytes) = of(smaller::PLAIN)?;
        let (taken, bytes) = of(smaller::DEDUPLICATE)?;
        let found = format!(
            "{} MB in place of {} MB; {taken:.2} s in place of {plain:.2} s",
            megabytes(bytes),
            megabytes(plain_bytes)
        );
        Some(Claim::said(measure, found))
    })
}

fn of_containers(measured: &Measured) -> Vec<Claim> {
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
        ("`.zst`", containers::ZSTD, containers::ZSTD_ALONE, 1.1),
        (
            "compressed qcow2",
            containers::COMPRESSED_QCOW2,
            containers::QEMU_COMPRESSED,
            1.1,
        ),
    ];
    let claim = |(what, peer, other, times)| {
        Claim::some(what, || {
            let taken = measured.seconds(peer)?;
            // Of one that was stopped it is known how long it took at least.
            let runs = measured.of(other)?;
            let base = runs.median().or_else(|| runs.stopped())?.as_secs_f64();
            let aim = format!(
                "at most {times} times {}, {base:.2} s",
                other.replace("**", "")
            );
            let found = format!("{taken:.2} s");
            Some(Claim::at_most(what, aim, found, taken, times * base))
        })
    };
    claims.into_iter().map(claim).collect()
}

fn of_large_files(done: &Done) -> Vec<Claim> {
    vec![
        of_limit("the large files", &done.measured, 1.1),
        of_memory("the large files", &done.measured, 100),
    ]
}

fn of_crowd(done: &Done, results: &Results) -> Claim {
    let measure = format!("one directory of {} files", done.content.files);
    Claim::some(&measure, || {
        let smaller = results.of(Kind::Crowd)?;
        let each = |done: &Done| {
            let seconds = done.measured.seconds(names::OURS)?;
            Some(seconds * 1e6 / float(done.content.entries))
        };
        let (taken, base) = (each(done)?, each(smaller)?);
        let found = format!("{taken:.2} µs for each");
        let aim = format!(
            "at most 1.5 times that of {} files, {base:.2} µs",
            smaller.content.files
        );
        Some(Claim::at_most(&measure, aim, found, taken, 1.5 * base))
    })
}

fn of_many_files(done: &Done, results: &Results) -> Vec<Claim> {
    let measure = format!("{} small files", done.content.files);
    let cost = Claim::some(&measure, || {
        let each = |done: &Done| {
            let seconds = done.measured.seconds(names::OURS)?;
            Some(seconds * 1e6 / float(done.content.files))
        };
        let (taken, base) = (each(done)?, each(results.of(Kind::Closure)?)?);
        let found = format!("{taken:.2} µs for each");
        let aim = format!("at most 1.2 times that of the closure, {base:.2} µs");
        Some(Claim::at_most(&measure, aim, found, taken, 1.2 * base))
    });
    vec![cost, of_memory(&measure, &done.measured, 400)]
}

fn of_shared_files(filesystem: Filesystem, done: &Done) -> Vec<Claim> {
    let measured = &done.measured;
    let measure = format!("the large files on {}", filesystem.name());
    let time = Claim::some(&measure, || {
        let ours = measured.seconds(names::OURS)?;
        let copying = measured.fastest(Role::Limit)?.median()?.as_secs_f64();
        let found = format!(
            "{ours:.3} s and {copying:.2} s: {:.0} times faster",
            copying / ours
        );
        let aim = "at least 10 times faster than copying".into();
        Some(Claim::at_most(&measure, aim, found, ours, copying / 10.0))
    });
    let space = Claim::some(&measure, || {
        let new = measured.of(names::OURS)?.done()?.image_bytes();
        let found = format!(
            "{:.1} MB of {} MB are new",
            float(new) / 1e6,
            megabytes(done.content.bytes)
        );
        let allowed = float(done.content.bytes) / 50.0;
        let aim = "at most 2 % new space".into();
        Some(Claim::at_most(&measure, aim, found, float(new), allowed))
    });
    vec![time, space]
}

fn of_shared_closure(filesystem: Filesystem, done: &Done) -> Vec<Claim> {
    let measured = &done.measured;
    let measure = format!("the closure on {}", filesystem.name());
    let time = Claim::some(&measure, || {
        let ours = measured.seconds(names::OURS)?;
        let copying = measured.fastest(Role::Limit)?.median()?.as_secs_f64();
        let found = format!("{ours:.2} s");
        let aim = format!("no slower than copying, {copying:.2} s");
        Some(Claim::at_most(&measure, aim, found, ours, copying))
    });
    let space = Claim::some(&measure, || {
        let new = |name| Some(measured.of(name)?.done()?.image_bytes());
        let (ours, copied) = (new(names::OURS)?, new(names::COPYING)?);
        let found = format!(
            "{} MB are new, {} MB of a copy without metadata",
            megabytes(ours),
            megabytes(copied)
        );
        Some(Claim::said(&measure, found))
    });
    vec![time, space]
}

fn of_cold(done: &Done) -> Claim {
    let measure = "the closure, cold";
    Claim::some(measure, || {
        let read = |name| done.measured.of(name)?.done()?.read_bytes();
        let (ours, walk) = (read(names::OURS)?, read(names::WALK)?);
        let blocks = done.content.file_block_bytes;
        let found = format!("{} MB were read", megabytes(ours));
        let aim = format!(
            "at most 1.05 times the blocks of files, {} MB, and what a walk reads, {} MB",
            megabytes(blocks),
            megabytes(walk)
        );
        let allowed = 1.05 * float(blocks + walk);
        Some(Claim::at_most(measure, aim, found, float(ours), allowed))
    })
}

/// `what` beside the fastest way of the limit.
fn of_limit(what: &str, measured: &Measured, times: f64) -> Claim {
    Claim::some(what, || {
        let ours = measured.seconds(names::OURS)?;
        let limit = measured.fastest(Role::Limit)?.median()?.as_secs_f64();
        let found = format!("{ours:.2} s: {:.2} times", ours / limit);
        let aim = format!("at most {times} times the limit, {limit:.2} s");
        Some(Claim::at_most(what, aim, found, ours, times * limit))
    })
}

/// The peak of ours, in MB.
fn of_memory(what: &str, measured: &Measured, allowed: u32) -> Claim {
    let measure = format!("memory for {what}");
    Claim::some(&measure, || {
        let peak = float(measured.of(names::OURS)?.done()?.peak_bytes()) / 1e6;
        let aim = format!("under {allowed} MB");
        let found = format!("{peak:.0} MB");
        Some(Claim::at_most(&measure, aim, found, peak, allowed.into()))
    })
}

/// Compresses the row's closure with one thread and with two.
pub(super) fn of_thread_counts(tools: &Tools, row: &Row) -> Result<Claim> {
    let is_the_same = super::containers::is_the_same_at_any_thread_count(tools, row)?;
    let found = if is_the_same { "so" } else { "they differ" };
    Ok(Claim {
        measure: "`.zst` of one thread and of two".into(),
        aim: "the same bytes".into(),
        found: found.into(),
        verdict: Verdict::Holds(is_the_same),
    })
}

/// Starts the builder many times.
pub(super) fn of_start(tools: &Tools) -> Result<Claim> {
    let taken = start::measure(tools)?.as_secs_f64() * 1000.0;
    Ok(Claim::at_most(
        "start, to an error about missing attributes",
        format!("under {START:.0} ms"),
        format!("{taken:.2} ms"),
        taken,
        START,
    ))
}

/// Makes databases, and gives a claim for each.
pub(super) fn of_databases(workspace: &Workspace, tools: &Tools) -> Result<Vec<Claim>> {
    let database = tools.peers.join("database");
    let claim = |(paths, allowed): (u32, f64)| {
        let number = paths.to_string();
        let taken = cmd!(workspace.shell, "{database} {number}")
            .quiet()
            .read()?;
        let taken: f64 = taken.parse().context("`database` prints no number")?;
        Ok(Claim::at_most(
            &format!("the database of {paths} paths"),
            format!("at most {allowed:.0} ms"),
            format!("{taken:.1} ms"),
            taken,
            allowed,
        ))
    };
    DATABASES.into_iter().map(claim).collect()
}

impl Results {
    fn of(&self, kind: Kind) -> Option<&Done> {
        self.0.iter().find(|done| done.kind == kind)
    }
}

impl Claim {
    fn at_most(measure: &str, aim: String, found: String, taken: f64, allowed: f64) -> Self {
        Self {
            measure: measure.into(),
            aim,
            found,
            verdict: Verdict::Of(taken / allowed),
        }
    }

    fn said(measure: &str, found: String) -> Self {
        Self {
            measure: measure.into(),
            aim: String::new(),
            found,
            verdict: Verdict::Said,
        }
    }

    /// What `claim` gives, or that `measure` could not be measured.
    fn some(measure: &str, claim: impl FnOnce() -> Option<Self>) -> Self {
        claim().unwrap_or_else(|| Self {
            measure: measure.into(),
            aim: String::new(),
            found: String::new(),
            verdict: Verdict::NotMeasured,
        })
    }

    /// As a line of text.
    pub(super) fn line(&self) -> String {
        let Self {
            measure,
            aim,
            found,
            ..
        } = self;
        match self.verdict {
            Verdict::NotMeasured => format!("{measure}: not measured"),
            Verdict::Said => format!("{measure}: {found}"),
            Verdict::Of(_) | Verdict::Holds(_) => {
                format!("{measure}: {found}; {aim}: {}", self.verdict())
            }
        }
    }

    /// As a row of a table in Markdown.
    pub(super) fn row(&self) -> String {
        format!(
            "| {} | {} | {} | {} |",
            self.measure,
            self.aim,
            self.found,
            self.verdict()
        )
    }

    fn verdict(&self) -> String {
        let outcome = |holds| if holds { "holds" } else { "does not hold" };
        match self.verdict {
            Verdict::Of(part) => format!("{part:.2} of it, {}", outcome(part <= 1.0)),
            Verdict::Holds(holds) => outcome(holds).into(),
            Verdict::Said => String::new(),
            Verdict::NotMeasured => "not measured".into(),
        }
    }
}

impl Runs {
    /// These, if all of them did what they should.
    fn done(&self) -> Option<&Self> {
        self.median().map(|_| self)
    }
}

/// A number of things, to calculate with.
pub(super) fn float(number: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "what is counted here is far below 2^53"
    )]
    let number = number as f64;
    number
}

pub(super) fn megabytes(bytes: u64) -> u64 {
    (bytes + 500_000) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(taken: f64, allowed: f64) -> Claim {
        Claim::at_most("a", "at most b".into(), "c".into(), taken, allowed)
    }

    #[test]
    fn what_takes_as_long_as_it_may_holds() {
        assert_eq!(claim(2.0, 2.0).line(), "a: c; at most b: 1.00 of it, holds");
        assert_eq!(
            claim(2.1, 2.0).row(),
            "| a | at most b | c | 1.05 of it, does not hold |"
        );
    }

    #[test]
    fn what_nobody_measured_does_not_hold() {
        let claim = Claim::some("a", || None);
        assert_eq!(claim.line(), "a: not measured");
    }
}
