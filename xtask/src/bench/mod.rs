//! `cargo xtask bench`: our builder beside others, and beside the limit, in one run.
//!
//! The rows are real store paths. What is made of them stands on tmpfs and is removed
//! when it has been measured. Rounds are interleaved, so that whatever else the machine
//! does meets all.

mod claims;
mod containers;
mod forms;
mod measure;
mod peers;
mod rows;
mod table;

use anyhow::{Context as _, Result};

use crate::builder;
use crate::prerequisites::{self, FOR_BENCH, FOR_BUILD, FOR_DEMO};
use crate::step::step;
use crate::workspace::Workspace;
use measure::Runs;
use peers::{Peer, Tools};
use rows::{Kind, Row};

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Small rows, for work on the bench itself.
    Quick,
    /// What `docs/performance.md` shows.
    Full,
}

/// Which rows are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    All,
    /// The closure in its forms alone.
    Forms,
    /// The closure in containers alone.
    Containers,
}

impl Rows {
    fn hold(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Forms => matches!(kind, Kind::Forms),
            Self::Containers => matches!(kind, Kind::Containers),
        }
    }
}

/// Where everything is written that is measured.
const TMPFS: &str = "/dev/shm";

/// Measures all, and prints the table as it grows; below it, what we claim of forms,
/// of containers and of the database.
pub(crate) fn command(workspace: &Workspace, size: Size, rows: Rows) -> Result<()> {
    step("install what is missing", || {
        prerequisites::ensure(workspace, &[FOR_BUILD, FOR_DEMO, FOR_BENCH])
    })?;
    let tools = tools(workspace)?;
    println!("{}", table::head(workspace, size, rows)?);
    let mut claims = Vec::new();
    for kind in rows::KINDS.into_iter().filter(|kind| rows.hold(*kind)) {
        let row = step(&format!("prepare {}", kind.name(size)), || {
            rows::prepare(workspace, &tools, kind, size)
        })?;
        let measured = step(&format!("measure {}", row.name), || {
            measure(&tools, &row, kind.peers(), size)
        });
        step("clean up", || row.clean_up(workspace, &tools))?;
        // At once: a later row may fail, or be interrupted.
        let measured = measured?;
        println!("{}", table::lines(&row, &measured));
        match kind {
            Kind::Forms => claims.extend(claims::of_forms(&measured)),
            Kind::Containers => claims.extend(claims::of_containers(&measured)),
            Kind::Closure | Kind::CrowdedDirectory | Kind::LargeFiles => {}
        }
    }
    if rows != Rows::Containers {
        claims.extend(step("make databases", || {
            claims::of_databases(workspace, &tools)
        })?);
    }
    println!("\n- {}", claims.join("\n- "));
    Ok(())
}

fn tools(workspace: &Workspace) -> Result<Tools> {
    let builder = builder::build(workspace)?;
    // As ours is built: with the same allocator, and the same hashing.
    let peers = step("build the peers", || {
        builder::compile(workspace, "nix2image-peers")
    })?;
    let scratch = tempfile::Builder::new()
        .prefix("nix2image-bench-")
        .tempdir_in(TMPFS)
        .with_context(|| format!("making a directory in {TMPFS}"))?;
    Ok(Tools {
        path: workspace.shell.var_os("PATH").unwrap_or_default(),
        builder,
        peers,
        scripts: workspace.root.join("benches"),
        scratch,
    })
}

/// The runs of each of `peers`.
fn measure(
    tools: &Tools,
    row: &Row,
    peers: &'static [Peer],
    size: Size,
) -> Result<Vec<(&'static Peer, Runs)>> {
    let mut all: Vec<_> = peers.iter().map(|peer| (peer, Runs::default())).collect();
    for round in 0..size.rounds() {
        for (peer, runs) in &mut all {
            if round < runs.wanted(size) {
                let run = measure::run(tools, row, peer, size, round == 0)?;
                eprintln!("    round {}: {}: {run}", round + 1, peer.name);
                runs.add(run);
            }
        }
    }
    Ok(all)
}

impl Size {
    /// How often each peer runs, unless it is slow.
    fn rounds(self) -> usize {
        match self {
            Self::Quick => 3,
            Self::Full => 5,
        }
    }

    /// Seconds after which a run is stopped.
    fn patience_seconds(self) -> u64 {
        match self {
            Self::Quick => 20,
            Self::Full => 60,
        }
    }
}
