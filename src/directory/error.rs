//! Why a directory could not be filled.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::job::Stopped;
use crate::source::ReadError;

/// What went wrong in a directory of the host.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    System {
        /// What was tried, as `"open"`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refused a mode.
    #[error(
        "cannot set the mode {mode:o} of {}; the sandbox of Nix lets nobody set a set-uid or set-gid bit", path.display()
    )]
    Mode {
        /// The mode.
        mode: u16,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refused a device.
    #[error(
        "cannot make {kind} at {}; only root may, and not in the sandbox of Nix", path.display()
    )]
    Device {
        /// What it is, as `"a block device"`.
        kind: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Something else stands there.
    #[error("{} is {found}, and {wanted} belongs there; move it away", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
        /// What it is, as `"a symlink"`.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// Something is mounted in what is to be removed.
    #[error("{} belongs to another filesystem, and its directory is to be removed; unmount it", path.display())]
    Mounted {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else holds the lock.
    #[error("another process is at work in {}; wait for its end", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A source could not be read.
    #[error(transparent)]
    Source(#[from] ReadError),
    /// Somebody asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Stopped),
}

impl DirectoryError {
    /// Makes the error of a system call that was to `action` the thing at `path`.
    pub(super) fn system(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System {
            action,
            path: path.as_ref().into(),
            source: errno.into(),
        }
    }
}
