//! Stores of the bench's own: directories that stand at `/nix/store` while a row is measured.
//!
//! Store paths that are made for a row are not Nix's business: to register ten thousand of
//! them takes longer than to measure them. So they are made in a directory of their own, on
//! the disk or on a filesystem in a file, and that is mounted over the store. Only this
//! process and its children see it, and however they end, the kernel unmounts it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// Where store paths stand.
pub(super) const STORE: &str = "/nix/store";

/// Bytes of a sector in the kernel's counters, whatever the disk's are.
const SECTOR_BYTES: u64 = 512;

/// A filesystem of the host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Filesystem {
    Xfs,
    Btrfs,
    Ext4,
}

/// A directory that stands at [`STORE`] while this lives; it is removed then.
pub(super) struct Store {
    /// On the disk, or where `host` is mounted.
    root: PathBuf,
    host: Option<Host>,
    is_bound: Cell<bool>,
}

/// A filesystem in a file.
struct Host {
    file: PathBuf,
    filesystem: Filesystem,
}

/// Gives this process, and all that it starts, mounts that nobody else sees.
pub(super) fn keep_mounts_private() -> Result<()> {
    const WHY: &str = "the bench mounts what it measures on, which only root can";
    unshare(CloneFlags::CLONE_NEWNS).context(WHY)?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).context(WHY)
}

impl Store {
    /// An empty one, in `directory` or on a filesystem of `bytes` in a file there.
    pub(super) fn new(directory: &Path, on: Option<(Filesystem, u64)>) -> Result<Self> {
        let root = directory.join("made");
        remove(&root)?;
        fs::create_dir(&root)?;
        let mut store = Self {
            root,
            host: None,
            is_bound: Cell::new(false),
        };
        if let Some((filesystem, bytes)) = on {
            let file = directory.join("made.filesystem");
            File::create(&file)?.set_len(bytes)?;
            run(filesystem.mkfs().arg(&file))?;
            store.host = Some(Host { file, filesystem });
            store.mount()?;
        }
        fs::create_dir(store.paths())?;
        Ok(store)
    }

    /// The filesystem that it stands on: a directory to write images to.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where store paths are made.
    pub(super) fn paths(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Writes what was made to the disk, and lets it stand at [`STORE`].
    pub(super) fn bind(&self) -> Result<()> {
        sync(&self.root)?;
        // Where Nix has done nothing yet, it is not there.
        fs::create_dir_all(STORE).with_context(|| format!("making {STORE}"))?;
        let flags = MsFlags::MS_BIND;
        mount(
            Some(&self.paths()),
            STORE,
            None::<&str>,
            flags,
            None::<&str>,
        )
        .with_context(|| format!("mounting {} on {STORE}", self.paths().display()))?;
        self.is_bound.set(true);
        Ok(())
    }

    /// Forgets what the kernel keeps of the filesystem in a file.
    pub(super) fn chill(&self) -> Result<()> {
        self.unmount(MntFlags::empty())?;
        self.mount()?;
        self.bind()
    }

    /// Bytes that were read from the device of the filesystem in a file.
    pub(super) fn read_bytes(&self) -> Result<u64> {
        let device = self.device()?;
        let name = device.trim_start_matches("/dev/");
        let counters = fs::read_to_string(format!("/sys/block/{name}/stat"))
            .with_context(|| format!("what was read from {name:?}"))?;
        let sectors = counters.split_whitespace().nth(2);
        let sectors: u64 = sectors.context("a device counts no sectors")?.parse()?;
        Ok(sectors * SECTOR_BYTES)
    }

    /// The device of the filesystem in a file.
    fn device(&self) -> Result<String> {
        let found = Command::new("findmnt")
            .args(["--noheadings", "--output", "SOURCE", "--mountpoint"])
            .arg(&self.root)
            .output()?;
        Ok(String::from_utf8(found.stdout)?.trim().to_owned())
    }

    fn mount(&self) -> Result<()> {
        let Some(host) = &self.host else {
            return Ok(());
        };
        let mut command = Command::new("mount");
        command.args(["-o", "loop,noatime", "-t", host.filesystem.kernel_name()]);
        run(command.arg(&host.file).arg(&self.root))?;
        // Or all would be in memory twice: as pages of the file, too.
        run(Command::new("losetup")
            .arg("--direct-io=on")
            .arg(self.device()?))
    }

    fn unmount(&self, flags: MntFlags) -> Result<()> {
        if self.is_bound.replace(false) {
            umount2(STORE, flags).with_context(|| format!("unmounting {STORE}"))?;
        }
        if self.host.is_some() {
            let root = &self.root;
            umount2(root, flags).with_context(|| format!("unmounting {}", root.display()))?;
        }
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        self.unmount(MntFlags::MNT_DETACH)?;
        if let Some(host) = &self.host {
            fs::remove_file(&host.file)?;
        }
        // What was on a filesystem in a file went with it.
        remove(&self.root)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("    left behind: {}: {error:#}", self.root.display());
        }
    }
}

impl Filesystem {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Xfs => "XFS",
            Self::Btrfs => "btrfs",
            Self::Ext4 => "ext4",
        }
    }

    fn kernel_name(self) -> &'static str {
        match self {
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Ext4 => "ext4",
        }
    }

    fn mkfs(self) -> Command {
        // An inode for each block; and all at once, or the kernel is busy with it while
        // others are measured.
        const EXT4: &[&str] = &[
            "-F",
            "-i",
            "4096",
            "-E",
            "lazy_itable_init=0,lazy_journal_init=0",
        ];
        let mut command = Command::new(format!("mkfs.{}", self.kernel_name()));
        command.arg("-q").args(match self {
            Self::Ext4 => EXT4,
            Self::Xfs | Self::Btrfs => &["-f"],
        });
        command
    }
}

/// Writes all of the filesystem at `path` to its disk.
pub(super) fn sync(path: &Path) -> Result<()> {
    run(Command::new("sync").arg("--file-system").arg(path))
}

/// Bytes that nobody has on the filesystem at `path`, when all is written.
pub(super) fn free_bytes(path: &Path) -> Result<u64> {
    // What one commit frees may be taken again after the next.
    sync(path)?;
    sync(path)?;
    let found = nix::sys::statvfs::statvfs(path)?;
    Ok(found.blocks_free() * found.fragment_size())
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    // What it says to a person is none of the table.
    let status = command.stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("running {name}"))?;
    ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", directory.display()))
        }
        _ => Ok(()),
    }
}
