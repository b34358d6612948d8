//! The processes that enter a root: one that makes namespaces, and their init.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode};
use std::sync::Arc;
use std::thread;

use rustix::process::WaitOptions;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::enter::{Ending, Order, Report, Stage};
use super::files::Files;
use super::linux::{self, Root};
use crate::error::Chain;

/// The hidden command that starts such a process. It takes one argument, an order.
pub const ENTER_COMMAND: &str = "enter-root";

/// Where programs of the system are found.
const PATH: &str = "/nix/var/nix/profiles/system/sw/bin";
/// Makes the root what the system's configuration says.
const ACTIVATE: &str = "/nix/var/nix/profiles/system/activate";

/// What programs learn of the host: how to write to the terminal, and how to reach others.
const INHERITED: [&str; 12] = [
    "TERM",
    "COLORTERM",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// Why a root could not be entered.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub(super) struct InsideError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl InsideError {
    /// Makes the error of what was to `action` the thing at `path`.
    pub(super) fn of<E: Into<io::Error>>(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self {
            action,
            path: path.as_ref().into(),
            source: error.into(),
        }
    }
}

/// Does as `order` says, and reports. The exit code says whether there was a report.
#[must_use]
pub fn serve(order: &str) -> ExitCode {
    let Ok(order) = serde_json::from_str::<Order>(order) else {
        return ExitCode::from(2);
    };
    // It is not seen any more once we are in the root.
    let Ok(report) = OpenOptions::new().write(true).open(&order.report) else {
        return ExitCode::FAILURE;
    };
    let outcome = match order.stage {
        Stage::Namespaces => make_namespaces(order),
        Stage::Init => be_init(&order).map(|ending| Some(Report::Ended(ending))),
    };
    let outcome = outcome.unwrap_or_else(|error| Some(Report::Failed(Chain(&error).to_string())));
    match outcome.map(|outcome| serde_json::to_writer(report, &outcome)) {
        Some(Err(_)) => ExitCode::FAILURE,
        Some(Ok(())) | None => ExitCode::SUCCESS,
    }
}

/// Makes the namespaces and starts their init, which reports.
fn make_namespaces(mut order: Order) -> Result<Option<Report>, InsideError> {
    // The terminal's signals are for the program; who started us tells when to end.
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::default())
            .map_err(InsideError::of("handle signals in", &order.root))?;
    }
    linux::enter_namespaces().map_err(InsideError::of("make namespaces for", &order.root))?;
    order.stage = Stage::Init;
    let init = order.command().and_then(|mut command| command.status());
    init.map_err(InsideError::of("start init in", &order.root))?;
    Ok(None)
}

/// Mounts what a program needs, and runs it.
fn be_init(order: &Order) -> Result<Ending, InsideError> {
    let lifeline = File::open(&order.lifeline)
        .map_err(InsideError::of("hold the lifeline", &order.lifeline))?;
    let path = Path::new(&order.root);
    let root = Root::open(path).map_err(InsideError::of("open", path))?;
    let files = Arc::new(Files::in_root(root, path));
    let ended = provide_and_run(order, &files, lifeline);
    files.remove();
    ended
}

fn provide_and_run(
    order: &Order,
    files: &Arc<Files>,
    lifeline: File,
) -> Result<Ending, InsideError> {
    rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
    let root = files.root();
    for (name, mount) in linux::MOUNTS {
        let path = Path::new(&order.root).join(name);
        mount(root, name).map_err(InsideError::of("mount", path))?;
    }
    files.provide()?;
    root.become_root()
        .map_err(InsideError::of("change the root to", &order.root))?;
    end_with(lifeline, Arc::clone(files))
        .map_err(InsideError::of("start a thread in", &order.root))?;

    if order.entry.activate && fs::exists(ACTIVATE).unwrap_or(false) {
        let mut activate = program(OsStr::new(ACTIVATE));
        activate.env("IN_NIXOS_ENTER", "1").stdout(io::stderr());
        // It says itself what it could not do, and the rest may do without.
        let _ = run(&mut activate).map_err(InsideError::of("run", ACTIVATE))?;
    }
    let entry = &order.entry;
    let mut program = program(&entry.program);
    program.args(&entry.arguments);
    program.envs(entry.environment.iter().map(|(name, value)| (name, value)));
    run(&mut program).map_err(InsideError::of("run", &entry.program))
}

/// Ends this process, and hence all in its namespace, when the lifeline ends.
fn end_with(mut lifeline: File, files: Arc<Files>) -> io::Result<()> {
    let end = move || {
        // Nobody writes: whatever this reads is the end.
        let _ = lifeline.read(&mut [0]);
        files.remove();
        process::exit(1);
    };
    thread::Builder::new().spawn(end).map(drop)
}

/// A program of the system, with a clean environment.
fn program(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in INHERITED {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LOGNAME", "root")
        // The root may have no locales yet.
        .env("LANG", "")
        .env("LC_ALL", "")
        .env("LC_TIME", "");
    command
}

/// Runs a program to its end. What lost its parent meanwhile is ours, and is reaped.
fn run(command: &mut Command) -> io::Result<Ending> {
    let child = rustix::process::Pid::from_child(&command.spawn()?);
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == child => {
                if let Some(signal) = status.terminating_signal() {
                    return Ok(Ending::Signal(signal));
                }
                if let Some(code) = status.exit_status() {
                    return Ok(Ending::Code(code));
                }
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
