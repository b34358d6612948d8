//! `cargo xtask bench`: our builder beside others, and beside the limit, in one run.
//!
//! The rows are store paths. What is made of them stands on tmpfs, unless a row is about
//! another filesystem, and is removed when it has been measured. Rounds are interleaved, so
//! that whatever else the machine does meets all.

mod claims;
mod containers;
mod forms;
mod huge_pages;
mod kept;
mod kinds;
mod made;
mod measure;
mod order;
mod peers;
mod plot;
mod report;
mod rows;
mod series;
mod settle;
mod smaller;
mod start;
mod stores;
mod table;

use std::path::Path;

use anyhow::Result;

use crate::builder;
use crate::prerequisites::{self, FOR_BENCH, FOR_BUILD, FOR_DEMO};
use crate::step::step;
use crate::workspace::Workspace;
use claims::{Claim, Done, Results};
use kept::Kept;
use kinds::Kind;
use measure::{Measured, Runs};
use peers::{Peer, Role, Tools};
use report::Report;
use rows::Row;

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    size: Size,
    rows: Rows,
    /// Whether plots are made too, and all is written to the documentation.
    is_report: bool,
}

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    /// Small rows, for work on the bench itself.
    Quick,
    /// What `docs/performance.md` shows.
    Full,
}

/// Which rows are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    All,
    /// The closure alone.
    Closure,
    /// The closure in its forms alone.
    Forms,
    /// The closure in containers alone.
    Containers,
    /// The closure with smaller settings alone.
    Settings,
    /// Those of very many files alone.
    Many,
    /// The closure on tmpfs alone, of small pages and of huge ones.
    HugePages,
}

/// Where everything is written that is measured.
const TMPFS: &str = "/dev/shm";

/// Measures all, and prints the table as it grows; below it, what settings save, and what
/// we claim.
pub(crate) fn command(workspace: &Workspace, request: Request) -> Result<()> {
    step("install what is missing", || {
        prerequisites::ensure(workspace, &[FOR_BUILD, FOR_DEMO, FOR_BENCH])
    })?;
    let tools = tools(workspace)?;
    stores::keep_mounts_private()?;
    let _kept = keep_memory(&tools, request)?;
    let report = measure_rows(workspace, &tools, request)?;
    if request.is_report {
        report.write(workspace)?;
    }
    Ok(())
}

/// Keeps free memory from a host while all is measured; huge pages could not be had of it.
fn keep_memory(tools: &Tools, request: Request) -> Result<Option<Kept>> {
    if request.size == Size::Quick || request.rows == Rows::HugePages {
        return Ok(None);
    }
    step("keep free memory from the host", || {
        let kept = Kept::keep(tools.scratch.path())?;
        if let Some(kept) = &kept {
            eprintln!("    {} MB are held", kept.bytes()? / 1_000_000);
        }
        Ok(kept)
    })
}

fn measure_rows(workspace: &Workspace, tools: &Tools, request: Request) -> Result<Report> {
    let size = request.size;
    let mut report = Report {
        circumstances: table::circumstances(workspace, request)?,
        table: vec![table::HEAD.into()],
        ..Report::default()
    };
    println!("{}\n\n{}", report.circumstances, table::HEAD);

    let mut results = Results::default();
    let mut claims = of_no_row(workspace, tools, request)?;
    let mut beside = Vec::new();
    for kind in request.rows.kinds(request.is_report) {
        let row = step(&format!("prepare {}", kind.name(size)), || {
            rows::prepare(workspace, tools, kind, size)
        })?;
        let measured = step(&format!("measure {}", row.name), || {
            let measured = measure_all(tools, &row, kind.peers(), size)?;
            if kind == Kind::Containers {
                beside.push(claims::of_thread_counts(tools, &row)?);
            }
            if request.is_report {
                let plots = series::plots(workspace, tools, kind, &row, &measured, size)?;
                report.plots.extend(plots);
            }
            Ok(measured)
        })?;
        // At once: a later row may fail, or be interrupted.
        let lines = table::lines(&row, &measured);
        println!("{lines}");
        report.table.push(lines);
        if kind == Kind::Settings {
            report.sizes = table::sizes(&measured);
        }
        results.0.push(Done {
            kind,
            content: row.content,
            measured,
        });
        step("clean up", || row.clean_up(workspace, tools))?;
    }
    claims.splice(0..0, claims::of_rows(&results));
    claims.extend(beside);
    if !report.sizes.is_empty() {
        println!("\n{}", report.sizes);
    }
    let lines: Vec<_> = claims.iter().map(Claim::line).collect();
    println!("\n- {}", lines.join("\n- "));
    report.measures = table::measures(&claims);
    Ok(report)
}

/// What is measured without store paths.
fn of_no_row(workspace: &Workspace, tools: &Tools, request: Request) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    if request.rows == Rows::All {
        claims.push(step("start", || claims::of_start(tools))?);
    }
    if matches!(request.rows, Rows::All | Rows::Forms) {
        claims.extend(step("make databases", || {
            claims::of_databases(workspace, tools)
        })?);
    }
    Ok(claims)
}

fn tools(workspace: &Workspace) -> Result<Tools> {
    let builder = builder::build(workspace)?;
    // As ours is built: with the same allocator, and the same hashing.
    let peers = step("build the peers", || {
        builder::compile(workspace, "nix2image-peers")
    })?;
    let scratch = peers::scratch(Path::new(TMPFS))?;
    Ok(Tools {
        path: workspace.shell.var_os("PATH").unwrap_or_default(),
        builder,
        peers,
        scripts: workspace.root.join("benches"),
        scratch,
    })
}

/// The runs of each of `peers`, written to where the row wants it. They take turns in an
/// [order](order::order) that changes from round to round; who makes a copy comes after
/// the others: what they free the host of a virtual machine takes, and others would wait for it.
fn measure_all(tools: &Tools, row: &Row, peers: &'static [Peer], size: Size) -> Result<Measured> {
    let tools = row.tools.as_ref().unwrap_or(tools);
    let mut all: Vec<_> = peers.iter().map(|peer| (peer, Runs::default())).collect();
    // The first of a row may have to wait for memory that a virtual machine's host has taken.
    if let Some(first) = peers.first() {
        measure::run(tools, row, first, size, false)?;
    }
    for are_of_copies in [false, true] {
        let are_next = |peer: &Peer| (peer.role == Role::OtherOfCopy) == are_of_copies;
        let mut next: Vec<_> = all.iter_mut().filter(|(peer, _)| are_next(peer)).collect();
        for round in 0..row.rounds {
            for turn in order::order(next.len(), round) {
                let (peer, runs) = &mut *next[turn];
                if round < runs.wanted(peer, row.rounds) {
                    let run = measure::run(tools, row, peer, size, round == 0)?;
                    eprintln!("    round {}: {}: {run}", round + 1, peer.name);
                    runs.add(run);
                }
            }
        }
    }
    Ok(Measured(all))
}

impl Request {
    /// What the arguments of `cargo xtask bench` ask for.
    pub(crate) fn parse(arguments: &[&str]) -> Option<Self> {
        let mut request = Self {
            size: Size::Full,
            rows: Rows::All,
            is_report: false,
        };
        for argument in arguments {
            match *argument {
                "--quick" => request.size = Size::Quick,
                "--report" => request.is_report = true,
                "--closure" => request.rows = Rows::Closure,
                "--forms" => request.rows = Rows::Forms,
                "--containers" => request.rows = Rows::Containers,
                "--settings" => request.rows = Rows::Settings,
                "--many" => request.rows = Rows::Many,
                "--huge-pages" => request.rows = Rows::HugePages,
                _ => return None,
            }
        }
        // The documentation shows all rows.
        (!request.is_report || request.rows == Rows::All).then_some(request)
    }

    /// The command that asks for it.
    fn command(self) -> String {
        let rows = match self.rows {
            Rows::All => "",
            Rows::Closure => " --closure",
            Rows::Forms => " --forms",
            Rows::Containers => " --containers",
            Rows::Settings => " --settings",
            Rows::Many => " --many",
            Rows::HugePages => " --huge-pages",
        };
        let size = if self.size == Size::Quick {
            " --quick"
        } else {
            ""
        };
        let report = if self.is_report { " --report" } else { "" };
        format!("cargo xtask bench{size}{rows}{report}")
    }
}

impl Size {
    /// Seconds after which a run is stopped.
    fn patience_seconds(self) -> u64 {
        match self {
            Self::Quick => 20,
            Self::Full => 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_of_all_rows() {
        let request = Request::parse(&["--report", "--quick"]).unwrap();
        assert_eq!(request.command(), "cargo xtask bench --quick --report");
        assert!(Request::parse(&["--report", "--forms"]).is_none());
        assert!(Request::parse(&["--fast"]).is_none());
    }
}
