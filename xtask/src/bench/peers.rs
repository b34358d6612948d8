//! Who is measured.

use std::ffi::OsString;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::TMPFS;
use super::forms;
use super::rows::{Row, Source};

/// Somebody who makes something of a row.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) reads: Source,
    /// The command that leaves its result at [`Tools::image`].
    pub(super) command: fn(&Tools, &Row) -> Command,
}

/// What a peer is to the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Ours,
    /// Makes a filesystem too.
    Other,
    /// Makes one of a copy of all, and takes as much memory again for it.
    OtherOfCopy,
    /// Makes one of all that has no space in its name.
    OtherWithoutSpaces,
    /// A way to read and write alone; the fastest is the limit.
    Limit,
    /// A part of what others do; it makes no filesystem.
    Part,
    /// Makes a filesystem that e2fsck does not see, for it is in a container.
    Contained,
}

/// Who is measured, as the claims about them name them.
pub(super) mod names {
    pub(in crate::bench) const OURS: &str = "**nix2image**";
    pub(in crate::bench) const MKEXT4: &str = "mkext4 0.0.3";
    pub(in crate::bench) const MKE2FS: &str = "`mke2fs -d`, of a copy made before";
    pub(in crate::bench) const COPY_AND_MKE2FS: &str = "a copy, and `mke2fs -d` of it";
    pub(in crate::bench) const NIXPKGS_TODAY: &str = "nixpkgs' steps: cp, mkfs -d, fsck, resize2fs";
    pub(in crate::bench) const NIXPKGS_FIRST: &str = "nixpkgs' first steps: mkfs, debugfs, fsck";
    pub(in crate::bench) const COPYING: &str = "limit, pieces of 1 MiB";
    pub(in crate::bench) const WALK: &str = "the limit's walk alone";
}

const OURS: Peer = Peer {
    name: names::OURS,
    role: Role::Ours,
    reads: Source::StorePaths,
    command: |tools, row| nix2image(tools, &row.attrs(forms::PLAIN)),
};

const LARGE_PIECES: Peer = Peer {
    name: names::COPYING,
    role: Role::Limit,
    reads: Source::StorePaths,
    command: |tools, row| limit(tools, row, "pieces-1024"),
};

const SMALL_PIECES: Peer = Peer {
    name: "limit, pieces of 256 KiB",
    role: Role::Limit,
    reads: Source::StorePaths,
    command: |tools, row| limit(tools, row, "pieces-256"),
};

const COPY_FILE_RANGE: Peer = Peer {
    name: "limit, `copy_file_range`",
    role: Role::Limit,
    reads: Source::StorePaths,
    command: |tools, row| limit(tools, row, "copy_file_range"),
};

/// Those of a row of store paths.
pub(super) const PEERS: &[Peer] = &[
    OURS,
    Peer {
        name: names::MKEXT4,
        role: Role::Other,
        reads: Source::StorePaths,
        command: mkext4,
    },
    Peer {
        name: names::MKE2FS,
        role: Role::Other,
        reads: Source::Copy,
        command: mke2fs,
    },
    Peer {
        name: names::COPY_AND_MKE2FS,
        role: Role::OtherOfCopy,
        reads: Source::StorePaths,
        command: copy_and_mke2fs,
    },
    Peer {
        name: names::NIXPKGS_TODAY,
        role: Role::OtherOfCopy,
        reads: Source::StorePaths,
        command: |tools, row| script(tools, row, "nixpkgs-today.sh"),
    },
    Peer {
        name: names::NIXPKGS_FIRST,
        role: Role::OtherWithoutSpaces,
        reads: Source::StorePaths,
        command: |tools, row| script(tools, row, "nixpkgs-first.sh"),
    },
    LARGE_PIECES,
    SMALL_PIECES,
    COPY_FILE_RANGE,
    Peer {
        name: "the limit's walk and reading, without writing",
        role: Role::Part,
        reads: Source::StorePaths,
        command: |tools, row| limit(tools, row, "read"),
    },
    Peer {
        name: "the limit's walk and writing, without reading",
        role: Role::Part,
        reads: Source::StorePaths,
        command: |tools, row| limit(tools, row, "write-1024"),
    },
    Peer {
        name: "limit, `sendfile`",
        role: Role::Limit,
        reads: Source::StorePaths,
        command: |tools, row| limit(tools, row, "sendfile"),
    },
];

/// Those of a row on which all others would take many minutes.
pub(super) const ALONE: &[Peer] = &[OURS, LARGE_PIECES, SMALL_PIECES];

/// Those of a row whose image stands beside what is read.
pub(super) const COPYING: &[Peer] = &[
    OURS,
    LARGE_PIECES,
    // Where it shares blocks it does not copy, so it is no limit of copying.
    Peer {
        role: Role::Part,
        ..COPY_FILE_RANGE
    },
];

/// Those of a row of which nothing is in memory.
pub(super) const COLD: &[Peer] = &[
    OURS,
    LARGE_PIECES,
    Peer {
        name: names::WALK,
        role: Role::Part,
        reads: Source::StorePaths,
        command: |tools, row| limit(tools, row, "walk"),
    },
];

/// Where the programs are, and where they write.
pub(super) struct Tools {
    /// PATH.
    pub(super) path: OsString,
    /// The static binary.
    pub(super) builder: PathBuf,
    /// The directory of the programs of `benches/peers`.
    pub(super) peers: PathBuf,
    /// The directory of the scripts.
    pub(super) scripts: PathBuf,
    /// On tmpfs, unless it is said where.
    pub(super) scratch: TempDir,
}

impl Tools {
    /// The same, writing to `directory`.
    pub(super) fn on(&self, directory: &Path) -> Result<Self> {
        Ok(Self {
            path: self.path.clone(),
            builder: self.builder.clone(),
            peers: self.peers.clone(),
            scripts: self.scripts.clone(),
            scratch: scratch(directory)?,
        })
    }

    /// The file that a peer makes.
    pub(super) fn image(&self) -> PathBuf {
        self.scratch.path().join("image")
    }

    /// A raw image of ours, for peers that put it into a container; there if they need it.
    pub(super) fn raw_image(&self) -> PathBuf {
        self.scratch.path().join("raw")
    }

    /// A directory for what a peer needs besides: there and empty when it begins.
    pub(super) fn work(&self) -> PathBuf {
        self.scratch.path().join("work")
    }

    /// Reads all that a peer will read, so that none meets a colder cache than another; and
    /// takes as much memory as an image takes on tmpfs, and frees it, so that none has to
    /// wait longer than another for what a virtual machine's host has taken. `twice` as much,
    /// if there is room, for some make a copy.
    pub(super) fn warm_up(&self, list: &Path, twice: bool) -> Result<()> {
        let directory = scratch(Path::new(TMPFS))?;
        // What is read once need not be read again.
        for way in iter::once("pieces").chain(twice.then_some("write")) {
            let copied = Command::new(self.peers.join("limit"))
                .arg(way)
                .args([list, &directory.path().join(way)])
                .status()?;
            ensure!(copied.success(), "the copying before a run failed");
        }
        Ok(())
    }
}

/// A directory in `directory` for images.
pub(super) fn scratch(directory: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("nix2image-bench-")
        .tempdir_in(directory)
        .with_context(|| format!("making a directory in {}", directory.display()))
}

/// As Nix runs a builder: with its attributes in a file, and a place for temporary files.
pub(super) fn nix2image(tools: &Tools, attrs: &Path) -> Command {
    let mut command = Command::new(&tools.builder);
    command
        .env("NIX_ATTRS_JSON_FILE", attrs)
        .env("NIX_BUILD_CORES", "0")
        .env("TMPDIR", tools.work());
    command
}

fn mkext4(tools: &Tools, row: &Row) -> Command {
    let mut command = Command::new(tools.peers.join("mkext4"));
    command
        .args([&row.list(Source::StorePaths), &tools.image()])
        .args([row.roomy_bytes(), row.roomy_inodes()].map(|number| number.to_string()));
    command
}

fn mke2fs(tools: &Tools, row: &Row) -> Command {
    let mut command = Command::new("mke2fs");
    command
        .env("E2FSPROGS_FAKE_TIME", "1")
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-N"])
        .arg(row.roomy_inodes().to_string())
        .arg("-d")
        .args([&row.staged, &tools.image()])
        .arg(format!("{}k", row.roomy_bytes() / 1024));
    command
}

fn copy_and_mke2fs(tools: &Tools, row: &Row) -> Command {
    let mut command = script(tools, row, "copy-and-mke2fs.sh");
    command
        .arg((row.roomy_bytes() / 1024).to_string())
        .arg(row.roomy_inodes().to_string());
    command
}

pub(super) fn script(tools: &Tools, row: &Row, name: &str) -> Command {
    let mut command = Command::new(tools.scripts.join(name));
    command.args([
        &row.list(Source::StorePaths),
        &row.registration,
        &tools.image(),
        &tools.work(),
    ]);
    command
}

fn limit(tools: &Tools, row: &Row, way: &str) -> Command {
    let mut command = Command::new(tools.peers.join("limit"));
    command
        .arg(way)
        .args([&row.list(Source::StorePaths), &tools.image()]);
    command
}
