//! Files in `/etc` without which programs in a root do not get far: `mtab` stays, the
//! host's `resolv.conf` and `hosts` are there as long as the programs are.
//!
//! The latter are copied into `/run`, which is in memory. What the root has at their places
//! is not touched:
//!
//! | the root has | it gets |
//! |---|---|
//! | nothing | a symlink to the copy, which is removed again |
//! | a file, or a symlink to one | the copy, mounted over that file |
//! | a symlink to what is missing in `/run` | another copy, there |
//! | a symlink to what is missing elsewhere | nothing |

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::inside::InsideError;
use super::linux::{self, Root, path_of};

/// What is copied from the host.
const COPIED: [&str; 2] = ["resolv.conf", "hosts"];
/// Where the copies are, in the root.
const COPIES: &str = "/run/nix2image";
/// What GRUB looks for the root's own filesystem in.
const MTAB: (&str, &str) = ("mtab", "/proc/mounts");
/// The name of what is not in its place yet.
const TEMPORARY_NAME: &str = ".nix2image.new";

/// The files of a root.
#[derive(Debug)]
pub(super) struct Files {
    root: Root,
    /// For messages.
    path: PathBuf,
}

impl Files {
    pub(super) fn in_root(root: Root, path: &Path) -> Self {
        Self {
            root,
            path: path.into(),
        }
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Puts the files where programs look for them. `/proc` and `/run` are mounted already.
    pub(super) fn provide(&self) -> Result<(), InsideError> {
        let failed = |name: &str| self.path.join("etc").join(name);
        self.put_mtab()
            .map_err(InsideError::of("make the symlink", failed(MTAB.0)))?;
        for name in COPIED {
            let host = Path::new("/etc").join(name);
            match fs::read(&host) {
                Ok(content) => self
                    .put(name, &content)
                    .map_err(InsideError::of("let programs see", failed(name)))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(InsideError::of("read", host)(error)),
            }
        }
        Ok(())
    }

    /// Removes what shall not stay. What is not ours any more stays.
    pub(super) fn remove(&self) {
        let Ok(etc) = self.root.find("etc") else {
            return;
        };
        for name in COPIED {
            if self.link(name).ok().flatten() == Some(copy(name)) {
                // If the disk is read-only now, the symlink leads nowhere and does no harm.
                let _ = rustix::fs::unlinkat(&etc, name, AtFlags::empty());
            }
        }
    }

    fn put_mtab(&self) -> io::Result<()> {
        let (name, target) = MTAB;
        if self.link(name)?.is_some() && self.root.find("etc/mtab").is_ok() {
            return Ok(());
        }
        let etc = self.root.find("etc")?;
        match rustix::fs::unlinkat(&etc, TEMPORARY_NAME, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        rustix::fs::symlinkat(target, &etc, TEMPORARY_NAME)?;
        rustix::fs::renameat(&etc, TEMPORARY_NAME, &etc, name)?;
        Ok(())
    }

    fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let open_run = self.root.find("run")?;
        let run = path_of(&open_run);
        let copies = run.join("nix2image");
        fs::create_dir_all(&copies)?;
        fs::write(copies.join(name), content)?;

        let etc = self.root.find("etc")?;
        match (self.link(name)?, self.root.find(&format!("etc/{name}"))) {
            // It is left from a process that was killed.
            (Some(target), _) if target == copy(name) => Ok(()),
            (_, Ok(open)) => linux::bind(&copies.join(name), &open),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(rustix::fs::symlinkat(copy(name), &etc, name)?)
            }
            (Some(target), Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                match below_run(&target) {
                    Some(below) => write_new(&run.join(below), content),
                    None => Ok(()),
                }
            }
            (_, Err(error)) => Err(error),
        }
    }

    /// The target of the symlink `name` in `/etc`; nothing if it is none.
    fn link(&self, name: &str) -> io::Result<Option<PathBuf>> {
        let etc = self.root.find("etc")?;
        match fs::read_link(path_of(&etc).join(name)) {
            Ok(target) => Ok(Some(target)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn copy(name: &str) -> PathBuf {
    Path::new(COPIES).join(name)
}

/// What is below `/run` in the target of a symlink in `/etc`, if it leads there.
fn below_run(target: &Path) -> Option<&Path> {
    let below = target
        .strip_prefix("/run")
        .or_else(|_| target.strip_prefix("../run"))
        .ok()?;
    let is_plain = |component| matches!(component, Component::Normal(_));
    below.components().all(is_plain).then_some(below)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_into_run_is_below_it() {
        for (target, below) in [
            (
                "/run/systemd/resolve/stub-resolv.conf",
                Some("systemd/resolve/stub-resolv.conf"),
            ),
            (
                "../run/resolvconf/resolv.conf",
                Some("resolvconf/resolv.conf"),
            ),
            ("/run/../etc/shadow", None),
            ("/runs/x", None),
            ("static/hosts", None),
        ] {
            assert_eq!(
                below_run(Path::new(target)),
                below.map(Path::new),
                "{target}"
            );
        }
    }
}
