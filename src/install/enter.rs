//! Running a program in a root, with mounts that nobody else sees.
//!
//! ```text
//!  we ──▶ a process in new namespaces ──▶ their init: mounts, chroot ──▶ the program
//!         (mounts, processes, names)        │                              and its own
//!  we ◀───────────── report ────────────────┘
//!     ─ ─ ─ ─ ─ ─ ─ lifeline ─ ─ ─ ─ ─ ─ ─▶ at its end, init ends
//! ```
//!
//! The namespaces live as long as their processes, and the processes as long as their
//! init. The lifeline is a pipe to which we alone hold the end to write, and nobody
//! writes: when we end it, or are killed, init reads its end and exits. The kernel kills
//! the rest, and the mounts go with them.
//!
//! A process that has threads cannot enter a namespace of processes. So ours starts itself
//! anew, as the hidden command [`ENTER_COMMAND`].

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus};

use serde::{Deserialize, Serialize};

use super::host;
use super::inside::ENTER_COMMAND;
use crate::job::Job;

/// A program to be run in a root.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Whether the system in the root is activated first.
    pub(super) activate: bool,
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    /// Beside what every program gets.
    pub(super) environment: Vec<(String, String)>,
}

/// What a process that is to enter a root is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) stage: Stage,
    /// The root, by a path that does not hang on where we are.
    pub(super) root: OsString,
    pub(super) entry: Entry,
    /// Where the lifeline is read.
    pub(super) lifeline: PathBuf,
    /// Where the report is written.
    pub(super) report: PathBuf,
}

/// Which of the processes it is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Stage {
    /// The one that makes the namespaces.
    Namespaces,
    /// Their init.
    Init,
}

/// What there is to report.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The program ended.
    Ended(Ending),
    /// It could not be run, as this message says.
    Failed(String),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// With this exit status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Why a program could not be run in a root.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// Nothing was started.
    #[error("cannot start the process that enters it")]
    Start(#[source] io::Error),
    /// It got stuck on its way.
    #[error("{message}")]
    Inside {
        /// The error and its causes.
        message: String,
    },
    /// The process is gone.
    #[error("the process that entered it reported nothing ({status})")]
    Lost {
        /// How it ended.
        status: ExitStatus,
    },
}

impl Entry {
    pub(super) fn new(program: OsString, arguments: Vec<OsString>) -> Self {
        Self {
            activate: false,
            program,
            arguments,
            environment: Vec::new(),
        }
    }
}

impl Order {
    /// The process that is told so.
    pub(super) fn command(&self) -> io::Result<Command> {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("nix2image")
            .arg(ENTER_COMMAND)
            .arg(serde_json::to_string(self)?);
        Ok(command)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Runs a program in `root` to its end. If somebody asks to stop, it is killed, and so is
/// all that it started.
pub(super) fn enter(root: &Path, entry: Entry, job: &Job) -> Result<Ending, EnterError> {
    let mut report = tempfile::tempfile().map_err(EnterError::Start)?;
    let (end, lifeline) = io::pipe().map_err(EnterError::Start)?;
    let order = Order {
        stage: Stage::Namespaces,
        root: root.into(),
        entry,
        lifeline: path_of(end.as_raw_fd()),
        report: path_of(report.as_raw_fd()),
    };
    let child = order.command().and_then(|mut command| command.spawn());
    let child = child.map_err(EnterError::Start)?;
    let output = host::wait(child, job, || drop(lifeline)).map_err(EnterError::Start)?;
    match read(&mut report) {
        Some(Report::Ended(ending)) => Ok(ending),
        Some(Report::Failed(message)) => Err(EnterError::Inside { message }),
        None => Err(EnterError::Lost {
            status: output.status,
        }),
    }
}

/// Where processes that we start find what we have open.
fn path_of(descriptor: RawFd) -> PathBuf {
    format!("/proc/{}/fd/{descriptor}", process::id()).into()
}

/// The report, if there is a whole one.
fn read(report: &mut File) -> Option<Report> {
    let mut text = String::new();
    report.rewind().ok()?;
    report.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}
