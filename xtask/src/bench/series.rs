//! Time and memory against the size of what is read, for plots.

use anyhow::Result;

use super::claims::float;
use super::kinds::Kind;
use super::measure::Measured;
use super::peers::{Tools, names};
use super::plot::{Line, Plot};
use super::rows::{Content, Row};
use super::{Size, measure_all};
use crate::workspace::Workspace;

/// A row and parts of it, each larger than the one before.
struct Series<'a> {
    kind: Kind,
    points: Vec<(Content, &'a Measured)>,
}

/// A plot, and the name of its file.
pub(super) struct Drawn {
    pub(super) file: &'static str,
    pub(super) plot: Plot,
}

/// Plots of `row`, which is of `kind` and was `measured`, and of parts of it; none if that is
/// not for a plot.
pub(super) fn plots(
    workspace: &Workspace,
    tools: &Tools,
    kind: Kind,
    row: &Row,
    measured: &Measured,
    size: Size,
) -> Result<Vec<Drawn>> {
    let mut parts = Vec::new();
    for &number in kind.series(size) {
        let part = row.first_paths(workspace, tools, number)?;
        parts.push((part.content, measure_all(tools, &part, kind.peers(), size)?));
    }
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let mut points: Vec<_> = parts.iter().map(|(of, part)| (*of, part)).collect();
    points.push((row.content, measured));
    Ok(Series { kind, points }.plots().into())
}

impl Series<'_> {
    /// Of time, and of memory.
    fn plots(&self) -> [Drawn; 2] {
        let is_of_files = self.kind == Kind::ManyFiles;
        let (x, what, files) = if is_of_files {
            (
                "files of 0 to 8 KiB, 100 in each store path",
                "files",
                ["time-by-files.svg", "memory-by-files.svg"],
            )
        } else {
            (
                "MB, in large files",
                "bytes",
                ["time-by-bytes.svg", "memory-by-bytes.svg"],
            )
        };
        let [time, memory] = files;
        [
            Drawn {
                file: time,
                plot: Plot {
                    title: format!("Time against {what}"),
                    x,
                    y: "seconds (median)",
                    lines: self.lines(Measured::seconds),
                },
            },
            Drawn {
                file: memory,
                plot: Plot {
                    title: format!("Peak memory against {what}"),
                    x,
                    y: "MB",
                    lines: self.lines(|measured, name| {
                        measured.seconds(name)?;
                        Some(float(measured.of(name)?.peak_bytes()) / 1e6)
                    }),
                },
            },
        ]
    }

    fn lines(&self, y: impl Fn(&Measured, &str) -> Option<f64>) -> [Line; 2] {
        let line = |name, peer| {
            let mut line = Line::new(name);
            for (content, measured) in &self.points {
                let x = self.x(*content);
                match y(measured, peer) {
                    Some(y) => line.points.push((x, y)),
                    None => line.failures.push(x),
                }
            }
            line
        };
        [
            line("nix2image", names::OURS),
            line("the limit (pieces of 1 MiB)", names::COPYING),
        ]
    }

    fn x(&self, content: Content) -> f64 {
        if self.kind == Kind::ManyFiles {
            float(content.files)
        } else {
            float(content.bytes) / 1e6
        }
    }
}
