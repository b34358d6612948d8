//! install: a NixOS that boots, on a disk that is mounted in a directory.
//!
//! 1. What is not given is found: the system is built by the host's Nix, the channel is
//!    root's, the closure is what the host's store knows.
//! 2. [`prepare_root`] lays the files.
//! 3. The system's own programs are run in the root: they install the boot loader and ask
//!    for root's password. They see mounts that nobody else sees (`enter.rs` says how), and
//!    nothing of them is left, however this ends.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::job::{Job, Stopped};
use crate::prepare_root::{PrepareRoot, PrepareRootError, prepare_root};
use crate::progress::Progress;
use crate::root::SYSTEM_PROFILE;
use crate::store::{Form, STORE_DIRECTORY, StorePath, StorePathError};
use crate::tree::Timestamp;

mod enter;
mod files;
mod host;
mod inside;
mod linux;

pub use enter::{Ending, EnterError};
pub use inside::{ENTER_COMMAND, serve};

use enter::Entry;

/// A system to be installed.
#[derive(Clone, Debug)]
pub struct Install {
    /// The directory, a mounted disk say.
    pub root: PathBuf,
    /// The system; if there is none, the root's own configuration is built.
    pub system: Option<StorePath>,
    /// What root's channels lead to.
    pub channel: Channel,
    /// The program that `/bin/sh` is.
    pub shell: Option<PathBuf>,
    /// What the closure is the union of; if there is nothing, the host's store tells it.
    pub closures: Vec<Form>,
    /// Whether the system's boot loader is installed.
    pub boot_loader: bool,
    /// Whether a person at the terminal is asked for root's password.
    pub root_password: bool,
    /// The directory of the host's Nix, `/nix/var/nix`.
    pub state_directory: PathBuf,
    /// The time of everything that is made.
    pub time: Timestamp,
}

/// What root's channels lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// This path of the closure.
    Path(StorePath),
    /// What they lead to on the host, if anything.
    OfHost,
    /// Nothing.
    None,
}

/// Why a system is not installed, or a root not entered.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The process has not the powers.
    #[error(
        "only root can install a system or enter one: run it as root; `nix2image prepare-root` lays the files without"
    )]
    NotRoot,
    /// There is no such directory.
    #[error("the root {} must be a directory; make it, or mount the target there", path.display())]
    Root {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// There is no system and nothing to build one from.
    #[error(
        "there is no configuration {} to build; write it, or name a system with --system", path.display()
    )]
    Configuration {
        /// The file.
        path: PathBuf,
    },
    /// A program of the host could not be run.
    #[error("cannot run {program}; it must be in PATH, or name a system with --system")]
    Start {
        /// The program.
        program: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The system could not be built.
    #[error("nix-build of {} failed with {status}; what it said says why", configuration.display())]
    Build {
        /// The file.
        configuration: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// What was built is no system.
    #[error(
        "nix-build of {} gave {output:?}, which is not one store path", configuration.display()
    )]
    Built {
        /// The file.
        configuration: PathBuf,
        /// What was said.
        output: String,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// The host's channel could not be found.
    #[error("cannot follow {} to root's channel; name one with --channel, or have none with --no-channel-copy", profile.display())]
    Channel {
        /// The profile.
        profile: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The host's channel is no store path.
    #[error("{} leads to no store path; name a channel with --channel, or have none with --no-channel-copy", profile.display())]
    ChannelPath {
        /// The profile.
        profile: PathBuf,
        /// The reason.
        source: StorePathError,
    },
    /// The files could not be laid.
    #[error(transparent)]
    PrepareRoot(#[from] Box<PrepareRootError>),
    /// No system is installed.
    #[error("{} has no /{SYSTEM_PROFILE}: install a system there first", root.display())]
    NotInstalled {
        /// The root.
        root: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// No program of the system was run.
    #[error("cannot run programs in {}", root.display())]
    Enter {
        /// The root.
        root: PathBuf,
        /// The reason.
        source: EnterError,
    },
    /// The boot loader is not installed.
    #[error(
        "{SWITCH} boot ended with {ending}; the files of the system are laid: enter it with `nix2image install --root {} --chroot`, or install once more", root.display()
    )]
    BootLoader {
        /// The root.
        root: PathBuf,
        /// How it ended.
        ending: Ending,
    },
    /// The password is not set.
    #[error(
        "{PASSWD} ended with {ending}; all is installed but root's password: `nix2image install --root {} --chroot passwd` sets it", root.display()
    )]
    Password {
        /// The root.
        root: PathBuf,
        /// How it ended.
        ending: Ending,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Stopped),
}

/// Installs the boot loader of a system.
const SWITCH: &str = "/nix/var/nix/profiles/system/bin/switch-to-configuration";
/// Sets a password; absent where users are not mutable.
const PASSWD: &str = "/nix/var/nix/profiles/system/sw/bin/passwd";
/// What is run where no command is given.
const SHELL: &str = "/nix/var/nix/profiles/system/sw/bin/bash";

impl InstallError {
    /// Whether another request is needed, for this one can never be followed.
    #[must_use]
    pub fn is_of_the_request(&self) -> bool {
        match self {
            Self::Root { .. } | Self::Configuration { .. } | Self::NotInstalled { .. } => true,
            Self::PrepareRoot(error) => error.is_of_the_request(),
            _ => false,
        }
    }
}

/// Installs a system.
pub fn install(request: Install, job: &Job, progress: &Progress) -> Result<(), InstallError> {
    let root = root(&request.root)?;
    let (boot_loader, root_password) = (request.boot_loader, request.root_password);
    let request = complete(request, &root, job, progress)?;
    prepare_root(request, job, progress).map_err(Box::new)?;
    if boot_loader {
        progress.phase_of_others("installing the boot loader");
        install_boot_loader(&root, job)?;
    }
    if root_password && io::stdin().is_terminal() && linux::find(&root, PASSWD).is_ok() {
        progress.phase_of_others("setting the root password");
        set_password(&root, !boot_loader, job)?;
    }
    Ok(())
}

/// Runs `command`, by default a shell, in the root at `root`, where a system is installed.
pub fn chroot(
    root_path: &Path,
    mut command: Vec<OsString>,
    job: &Job,
) -> Result<Ending, InstallError> {
    let root = root(root_path)?;
    if let Err(source) = linux::find(&root, SYSTEM_PROFILE) {
        return Err(InstallError::NotInstalled { root, source });
    }
    if command.is_empty() {
        command = vec![SHELL.into(), "--login".into()];
    }
    let program = command.remove(0);
    enter(&root, Entry::new(program, command), job)
}

/// The directory as one that has no symlinks in it and does not hang on where we are.
fn root(path: &Path) -> Result<PathBuf, InstallError> {
    if !rustix::process::geteuid().is_root() {
        return Err(InstallError::NotRoot);
    }
    let refuse = |source| InstallError::Root {
        path: path.into(),
        source,
    };
    let root = fs::canonicalize(path).map_err(refuse)?;
    if root.is_dir() {
        return Ok(root);
    }
    Err(refuse(io::ErrorKind::NotADirectory.into()))
}

/// The request with all that was left to be found.
fn complete(
    request: Install,
    root: &Path,
    job: &Job,
    progress: &Progress,
) -> Result<PrepareRoot, InstallError> {
    let state = &request.state_directory;
    let of_host = |roots| Form::Store {
        database: state.join("db"),
        roots,
    };
    let channel = match &request.channel {
        Channel::Path(path) => Some(path.clone()),
        Channel::OfHost => host::channel(state)?,
        Channel::None => None,
    };
    let system = if let Some(system) = request.system {
        system
    } else {
        let configuration = root.join("etc/nixos/configuration.nix");
        host::build(configuration, job, progress)?
    };
    let mut closures = request.closures;
    if closures.is_empty() {
        let shell = request.shell.as_deref().and_then(store_path_of);
        let roots = [&system].into_iter().chain(&channel).cloned();
        closures.push(of_host(roots.chain(shell).collect()));
    } else if request.channel == Channel::OfHost {
        closures.extend(channel.clone().map(|channel| of_host(vec![channel])));
    }
    Ok(PrepareRoot {
        mount_point: root.into(),
        system: Some(system),
        channel,
        shell: request.shell,
        closures,
        time: request.time,
    })
}

/// The store path that `path` lies in, if any.
fn store_path_of(path: &Path) -> Option<StorePath> {
    let below = path.strip_prefix(STORE_DIRECTORY).ok()?;
    let base_name = below.components().next()?.as_os_str().to_str()?;
    StorePath::from_base_name(base_name).ok()
}

fn install_boot_loader(root: &Path, job: &Job) -> Result<(), InstallError> {
    let entry = Entry {
        activate: true,
        environment: vec![("NIXOS_INSTALL_BOOTLOADER".into(), "1".into())],
        ..Entry::new(SWITCH.into(), vec!["boot".into()])
    };
    match enter(root, entry, job)? {
        Ending::Code(0) => Ok(()),
        ending => Err(InstallError::BootLoader {
            root: root.into(),
            ending,
        }),
    }
}

fn set_password(root: &Path, activate: bool, job: &Job) -> Result<(), InstallError> {
    let entry = Entry {
        activate,
        ..Entry::new(PASSWD.into(), Vec::new())
    };
    match enter(root, entry, job)? {
        Ending::Code(0) => Ok(()),
        ending => Err(InstallError::Password {
            root: root.into(),
            ending,
        }),
    }
}

fn enter(root: &Path, entry: Entry, job: &Job) -> Result<Ending, InstallError> {
    let entered = enter::enter(root, entry, job);
    job.check()?;
    entered.map_err(|source| InstallError::Enter {
        root: root.into(),
        source,
    })
}
