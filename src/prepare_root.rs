//! prepare-root: the root of a NixOS in a directory of the host, a mounted disk say.
//!
//! The tree is the one of an image. It is laid into what is there, so that whoever is
//! killed at any moment and starts again gets what one run gives:
//!
//! 1. Directories that are missing appear.
//! 2. A store path counts when the database says that it is valid. One that is not is
//!    removed, as far as it is there, and written; its row follows its content.
//! 3. Symlinks come next, new ones before those that change: a profile never dangles.
//! 4. Directories get their times.
//! 5. `/etc/NIXOS` says that the root is finished, when all else is done.
//!
//! In a root that was finished before, only what lies below `/nix` has its metadata set
//! again. One that was not gets all of it, and the database of its first run is, in the
//! end, the one that an image would have.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::directory::{Directory, DirectoryError, Ownership};
use crate::job::{Job, Stopped};
use crate::progress::Progress;
use crate::root::{self, CHANNEL_PROFILE, Generations, NixosRoot, RootError, SYSTEM_PROFILE};
use crate::store::{
    self, Closure, DatabaseError, Form, GatherError, NarDigest, NarWatch, ScanError, StorePath,
    ValidPath, WatchError,
};
use crate::tree::Timestamp;

mod layout;
mod valid;

use layout::Layout;

/// A root to be prepared.
#[derive(Clone, Debug)]
pub struct PrepareRoot {
    /// The directory, which exists.
    pub mount_point: PathBuf,
    /// The system that the system profile leads to.
    pub system: Option<StorePath>,
    /// The channel that root's channels lead to.
    pub channel: Option<StorePath>,
    /// The program that `/bin/sh` is.
    pub shell: Option<PathBuf>,
    /// What the closure is the union of.
    pub closures: Vec<Form>,
    /// The time of everything that is made, and of registrations.
    pub time: Timestamp,
}

/// Why a root is not prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareRootError {
    /// There is no such directory.
    #[error(
        "the mount point {} must be a directory; make it, or mount the target there", path.display()
    )]
    MountPoint {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: DirectoryError,
    },
    /// What was given makes no closure.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// A store path could not be scanned.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// System, channel or shell are not in the closure.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The target refused.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The target's database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A store path is not what an input says of it.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The target's store is the one to copy from.
    #[error(
        "{path} is not valid in the target's store, which is the store of this host: there is nothing to copy it from; give it as an export"
    )]
    OwnStore {
        /// The path.
        path: StorePath,
    },
    /// There is no thread for the writing.
    #[error(
        "cannot start a thread to write store paths; allow more processes (`ulimit -u`) or memory (`ulimit -v`)"
    )]
    Thread(#[source] io::Error),
    /// Somebody asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Stopped),
}

impl PrepareRootError {
    /// Whether another request is needed, for this one can never be followed.
    #[must_use]
    pub fn is_of_the_request(&self) -> bool {
        match self {
            Self::MountPoint { .. } | Self::Root(_) | Self::OwnStore { .. } => true,
            Self::Gather(error) => error.is_of_the_request(),
            _ => false,
        }
    }
}

/// Lays the root of a NixOS into a directory. Owners are set if this process is root's.
pub fn prepare_root(
    request: PrepareRoot,
    job: &Job,
    progress: &Progress,
) -> Result<(), PrepareRootError> {
    prepare(request, Ownership::of_this_process(), job, progress)
}

fn prepare(
    request: PrepareRoot,
    ownership: Ownership,
    job: &Job,
    progress: &Progress,
) -> Result<(), PrepareRootError> {
    let begin = |phase| {
        job.check()?;
        progress.phase(phase);
        Ok::<_, Stopped>(())
    };
    let target = Directory::open(&request.mount_point).map_err(|source| {
        let path = request.mount_point.clone();
        PrepareRootError::MountPoint { path, source }
    })?;
    target.lock()?;
    let time = request.time;

    begin("gathering")?;
    let closure = store::gather(request.closures.clone(), time, job.stop_flag())?;

    begin("scanning")?;
    let mut scanned = store::scan_closure(&closure, time, job.stop_flag())?;
    job.check()?;
    let watch = NarWatch::new(&closure, &mut scanned, false);
    let nixos = nixos(&target, request)?;
    let tree = root::tree(Some(&nixos), scanned, Vec::new(), None, time)?;

    begin("laying out")?;
    let layout = Layout::new(&target, &tree, ownership)?;
    layout.make_directories()?;
    let paths = valid::Paths {
        closure: &closure,
        tree: &tree,
        watch: &watch,
        ownership,
        job,
        time,
    };
    let valid = paths.make_valid(&target, progress)?;

    begin("finishing")?;
    layout.put_links()?;
    let records = (!layout.is_finished())
        .then(|| records(&closure, &valid))
        .flatten();
    layout.finish_database(records.as_deref(), time)?;
    layout.finish()?;
    Ok(())
}

/// What the root has, after what it had before.
fn nixos(target: &Directory, request: PrepareRoot) -> Result<NixosRoot, DirectoryError> {
    let profile = |path: &str, store_path: Option<StorePath>| match store_path {
        None => Ok(None),
        Some(store_path) => {
            let symlinks = symlinks_beside(target, path)?;
            let generations = Generations::of(path, &symlinks);
            Ok::<_, DirectoryError>(Some(generations.profile(store_path)))
        }
    };
    Ok(NixosRoot {
        system: profile(SYSTEM_PROFILE, request.system)?,
        channel: profile(CHANNEL_PROFILE, request.channel)?,
        shell: request.shell,
        database: None,
    })
}

/// Names and targets of the symlinks in the directory of what is at `path`.
fn symlinks_beside(
    target: &Directory,
    path: &str,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, DirectoryError> {
    let mut names = layout::names(path);
    names.pop();
    let mut symlinks = BTreeMap::new();
    if let Some(directory) = layout::find(target, &names)? {
        for name in directory.names()? {
            if let Some(target) = directory.read_link(&name)? {
                symlinks.insert(name.as_bytes().to_vec(), target);
            }
        }
    }
    Ok(symlinks)
}

/// All that a database of `closure` knows, if exactly its paths are `valid`.
fn records(closure: &Closure, valid: &BTreeMap<StorePath, NarDigest>) -> Option<Vec<ValidPath>> {
    let paths: Vec<_> = closure
        .paths()
        .map(|path| Some(ValidPath::new(path, *valid.get(&path.path)?)))
        .collect::<Option<_>>()?;
    (paths.len() == valid.len()).then_some(paths)
}

#[cfg(test)]
mod tests;
