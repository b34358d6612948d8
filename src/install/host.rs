//! What the host's Nix is asked for.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::InstallError;
use crate::job::Job;
use crate::progress::Progress;
use crate::store::StorePath;

/// How long a request to stop may go unseen.
const PATIENCE: Duration = Duration::from_millis(50);

/// The system that the host's Nix builds of `configuration`.
pub(super) fn build(
    configuration: PathBuf,
    job: &Job,
    progress: &Progress,
) -> Result<StorePath, InstallError> {
    if !configuration.is_file() {
        return Err(InstallError::Configuration {
            path: configuration,
        });
    }
    job.check()?;
    progress.phase_of_others("building");
    let failed = |source| InstallError::Start {
        program: "nix-build",
        source,
    };
    let mut include = OsString::from("nixos-config=");
    include.push(&configuration);
    let child = Command::new("nix-build")
        .args(["<nixpkgs/nixos>", "-A", "system", "--no-out-link", "-I"])
        .arg(include)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let process = Pid::from_child(&child);
    let stop = || {
        // If it has ended meanwhile, all the better.
        let _ = rustix::process::kill_process(process, Signal::TERM);
    };
    let output = wait(child, job, stop).map_err(failed)?;
    job.check()?;
    if !output.status.success() {
        return Err(InstallError::Build {
            configuration,
            status: output.status,
        });
    }
    let output = String::from_utf8_lossy(&output.stdout);
    StorePath::parse(output.trim_end()).map_err(|source| InstallError::Built {
        configuration,
        output: output.into_owned(),
        source,
    })
}

/// What root's channels lead to, on the host whose Nix has its state in `state`.
pub(super) fn channel(state: &Path) -> Result<Option<StorePath>, InstallError> {
    let profile = state.join("profiles/per-user/root/channels");
    let path = match fs::canonicalize(&profile) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(InstallError::Channel { profile, source }),
    };
    match StorePath::parse(&path.to_string_lossy()) {
        Ok(path) => Ok(Some(path)),
        Err(source) => Err(InstallError::ChannelPath { profile, source }),
    }
}

/// Waits for `child`. Once somebody asks to stop, `stop` is called, and shall end it.
pub(super) fn wait(child: Child, job: &Job, stop: impl FnOnce()) -> io::Result<Output> {
    let (tell, told) = mpsc::channel();
    // Nobody listens only after a panic.
    let wait = move || drop(tell.send(child.wait_with_output()));
    if let Err(error) = thread::Builder::new().spawn(wait) {
        stop();
        return Err(error);
    }
    let mut stop = Some(stop);
    loop {
        match told.recv_timeout(PATIENCE) {
            Ok(output) => return output,
            Err(RecvTimeoutError::Timeout) if job.check().is_ok() => {}
            Err(RecvTimeoutError::Timeout) => {
                if let Some(stop) = stop.take() {
                    stop();
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the thread that waits for it is gone"));
            }
        }
    }
}
