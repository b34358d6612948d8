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

/// Parts of a row, each larger than the one before.
pub(super) struct Series {
    kind: Kind,
    points: Vec<(Content, Measured)>,
}

/// A plot, and the name of its file.
pub(super) struct Drawn {
    pub(super) file: &'static str,
    pub(super) plot: Plot,
}

/// Measures on parts of `row`, which is of `kind`; nothing if that is not for a plot.
pub(super) fn measure(
    workspace: &Workspace,
    tools: &Tools,
    kind: Kind,
    row: &Row,
    size: Size,
) -> Result<Option<Series>> {
    let mut points = Vec::new();
    for &number in kind.series(size) {
        let part = row.first_paths(workspace, tools, number)?;
        let measured = measure_all(tools, &part, kind.peers(), size)?;
        points.push((part.content, measured));
    }
    Ok((!points.is_empty()).then_some(Series { kind, points }))
}

impl Series {
    /// Of time, and of memory.
    pub(super) fn plots(&self) -> [Drawn; 2] {
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
                    lines: self
                        .lines(|measured, name| Some(float(measured.of(name)?.peak_bytes()) / 1e6)),
                },
            },
        ]
    }

    fn lines(&self, y: impl Fn(&Measured, &str) -> Option<f64>) -> [Line; 2] {
        let line = |name, peer| Line {
            name,
            points: self
                .points
                .iter()
                .filter_map(|(content, measured)| Some((self.x(*content), y(measured, peer)?)))
                .collect(),
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
