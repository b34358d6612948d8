//! What only Linux has: namespaces, mounts, and paths that are looked up within a root.

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::*;
#[cfg(target_os = "linux")]
pub(super) use here::*;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

/// The root directory of a system.
#[derive(Debug)]
pub(super) struct Root(File);

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(
            rustix::fs::openat(CWD, path, flags, Mode::empty())?.into(),
        ))
    }

    /// Makes it the root directory of this process, and where it stands.
    pub(super) fn become_root(&self) -> io::Result<()> {
        rustix::process::fchdir(&self.0)?;
        rustix::process::chroot(".")?;
        Ok(())
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What stands at `path` for those whose root directory is `root`.
pub(super) fn find(root: &Path, path: &str) -> io::Result<()> {
    Root::open(root)?.find(path).map(drop)
}

/// A path of what is open, for calls that know no descriptors.
pub(super) fn path_of(open: &File) -> PathBuf {
    format!("/proc/self/fd/{}", open.as_raw_fd()).into()
}

#[cfg(target_os = "linux")]
mod here {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    use rustix::fs::ResolveFlags;

    use super::{File, Mode, OFlags, Path, Root, io, path_of};

    /// What makes the mount at a name of a root.
    type Mount = fn(&Root, &str) -> io::Result<()>;

    /// Every mount in a root, in order.
    pub(in super::super) const MOUNTS: [(&str, Mount); 4] = [
        // The host's knows no process by the number that it has in a namespace.
        ("proc", mount_proc),
        ("dev", |root, name| bind_all(Path::new("/dev"), root, name)),
        ("sys", |root, name| bind_all(Path::new("/sys"), root, name)),
        ("run", mount_run),
    ];

    const NOTHING: Option<&str> = None;

    impl Root {
        /// Opens what stands at `path`, where symlinks lead to what they lead to in the root.
        pub(in super::super) fn find(&self, path: &str) -> io::Result<File> {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let resolve = ResolveFlags::IN_ROOT;
            let open = rustix::fs::openat2(self, path, flags, Mode::empty(), resolve)?;
            Ok(open.into())
        }
    }

    /// Gives this process mounts and a host name of its own, and its children a namespace of
    /// processes.
    pub(in super::super) fn enter_namespaces() -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS)?;
        let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(NOTHING, "/", NOTHING, flags, NOTHING)?;
        Ok(())
    }

    /// Lets `file` be seen instead of what is `open`.
    pub(in super::super) fn bind(file: &Path, open: &File) -> io::Result<()> {
        let flags = MsFlags::MS_BIND;
        mount(Some(file), &path_of(open), NOTHING, flags, NOTHING)?;
        Ok(())
    }

    fn bind_all(directory: &Path, root: &Root, name: &str) -> io::Result<()> {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        let open = mount_point(root, name)?;
        mount(Some(directory), &path_of(&open), NOTHING, flags, NOTHING)?;
        Ok(())
    }

    fn mount_proc(root: &Root, name: &str) -> io::Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
        let open = mount_point(root, name)?;
        mount(Some("proc"), &path_of(&open), Some("proc"), flags, NOTHING)?;
        Ok(())
    }

    fn mount_run(root: &Root, name: &str) -> io::Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let open = mount_point(root, name)?;
        let options = Some("mode=0755");
        mount(Some("run"), &path_of(&open), Some("tmpfs"), flags, options)?;
        let run = root.find(name)?;
        rustix::fs::symlinkat("/nix/var/nix/profiles/system", &run, "current-system")?;
        Ok(())
    }

    /// The directory `name` itself: what a symlink there leads to may be the host's.
    fn mount_point(root: &Root, name: &str) -> io::Result<File> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(root, name, flags, Mode::empty())?.into())
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{File, Path, Root, io};

    type Mount = fn(&Root, &str) -> io::Result<()>;

    pub(in super::super) const MOUNTS: [(&str, Mount); 0] = [];

    impl Root {
        pub(in super::super) fn find(&self, _path: &str) -> io::Result<File> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(in super::super) fn enter_namespaces() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(in super::super) fn bind(_file: &Path, _open: &File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
