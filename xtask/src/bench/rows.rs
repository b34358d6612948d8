//! What is measured on: store paths, with all that a peer needs to know of them.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::json;
use xshell::cmd;

use super::peers::{PEERS, Peer, Tools};
use super::{Size, TMPFS};
use super::{containers, forms};
use crate::workspace::Workspace;
use crate::{closure, nix};

/// A row of the table.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Closure,
    CrowdedDirectory,
    LargeFiles,
    /// The closure again, in each form in which one can be given.
    Forms,
    /// The closure again, in each container.
    Containers,
}

pub(super) const KINDS: [Kind; 5] = [
    Kind::Closure,
    Kind::CrowdedDirectory,
    Kind::LargeFiles,
    Kind::Forms,
    Kind::Containers,
];

/// What a peer reads.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// In the store.
    StorePaths,
    /// A copy of them, as they stand in an image.
    Copy,
    /// Of all of them, as [`forms`] makes it.
    Export,
    ZstdExport,
    BinaryCache,
}

/// Store paths, ready to be measured on.
pub(super) struct Row {
    pub(super) name: String,
    /// The store path that refers to all others.
    pub(super) top: String,
    /// As `nix-store --dump-db` writes it.
    pub(super) registration: PathBuf,
    /// A copy of the store paths, as they stand in an image; there if a peer reads it.
    pub(super) staged: PathBuf,
    pub(super) content: Content,
    pub(super) store_paths: usize,
    /// The store path that was made for the row.
    synthetic: Option<String>,
    /// On the disk, for all that peers are given.
    directory: PathBuf,
}

/// What store paths consist of.
#[derive(Default)]
pub(super) struct Content {
    pub(super) entries: u64,
    /// Of files.
    pub(super) bytes: u64,
    /// Of the blocks of files.
    block_bytes: u64,
    /// Names with a space in them.
    pub(super) names_with_space: u64,
}

const BLOCK_BYTES: u64 = 4096;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A store path as `exportReferencesGraph` describes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Valid {
    pub(super) path: String,
    nar_hash: String,
    nar_size: u64,
    pub(super) references: Vec<String>,
}

/// Makes the store paths of a row, and all that goes with them.
pub(super) fn prepare(workspace: &Workspace, tools: &Tools, kind: Kind, size: Size) -> Result<Row> {
    let shell = &workspace.shell;
    let directory = workspace.target.join("bench");
    shell.create_dir(&directory)?;
    let (top, synthetic) = match kind {
        Kind::Closure | Kind::Forms | Kind::Containers => {
            (system_closure(workspace, &directory, size)?, None)
        }
        Kind::CrowdedDirectory | Kind::LargeFiles => {
            let path = synthetic(workspace, &directory, kind, size)?;
            (path.clone(), Some(path))
        }
    };
    let paths = cmd!(shell, "nix-store --query --requisites {top}")
        .quiet()
        .read()?;
    let mut paths: Vec<&str> = paths.lines().collect();
    paths.sort_unstable();
    let paths = &paths[..];
    let registration = cmd!(shell, "nix-store --dump-db {paths...}")
        .quiet()
        .read()?;
    let attrs = json!({
        "outputs": { "out": tools.image() },
        "exportReferencesGraph": { "closure": [top] },
        "closure": parse_registration(&registration)?,
        "nix2image": { "version": 1, "graphs": ["closure"], "ext4": { "label": "nixos" } },
    });

    let mut content = Content::default();
    for path in paths {
        content.count(Path::new(path))?;
    }
    let row = Row {
        name: kind.name(size),
        top,
        registration: directory.join("registration"),
        content,
        store_paths: paths.len(),
        synthetic,
        staged: directory.join("staged"),
        directory,
    };
    shell.write_file(row.list(Source::StorePaths), paths.join("\n"))?;
    shell.write_file(&row.registration, registration)?;
    shell.write_file(row.attrs(forms::PLAIN), attrs.to_string())?;
    match kind {
        Kind::Forms => forms::prepare(workspace, &row, paths, &attrs)?,
        Kind::Containers => containers::prepare(workspace, tools, &row, &attrs)?,
        Kind::Closure | Kind::CrowdedDirectory | Kind::LargeFiles => row.stage(workspace, paths)?,
    }
    row.check_memory()?;
    Ok(row)
}

fn system_closure(workspace: &Workspace, directory: &Path, size: Size) -> Result<String> {
    if size == Size::Quick {
        return crate::test_env::small_closure(workspace);
    }
    let expression = directory.join("system");
    workspace.shell.create_dir(&expression)?;
    let list = workspace.root.join("tests/closures/system.txt");
    closure::make(workspace, &list, &expression)?;
    let out_link = directory.join("system.built");
    nix::build(&workspace.shell, &expression, "closure", &out_link)
}

/// Makes a directory of files, adds it to the store, and removes it.
fn synthetic(workspace: &Workspace, directory: &Path, kind: Kind, size: Size) -> Result<String> {
    let shell = &workspace.shell;
    let (files, bytes) = kind.files(size);
    let source = directory.join(format!("{files}-files"));
    shell.remove_path(&source)?;
    shell.create_dir(&source)?;
    let mut random = Random(files);
    for number in 0..files {
        let path = source.join(format!("file-{number:06}"));
        random
            .write(&path, bytes)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    let path = cmd!(shell, "nix-store --add {source}").quiet().read()?;
    shell.remove_path(&source)?;
    Ok(path)
}

/// Reads what `nix-store --dump-db` writes.
pub(super) fn parse_registration(text: &str) -> Result<Vec<Valid>> {
    let mut lines = text.lines();
    let mut paths = Vec::new();
    while let Some(path) = lines.next() {
        let mut line = || lines.next().context("the registration ends early");
        let hash = line()?;
        let nar_hash = if hash.contains(':') {
            hash.to_owned()
        } else {
            format!("sha256:{hash}")
        };
        let nar_size = line()?.parse()?;
        let _deriver = line()?;
        let references: usize = line()?.parse()?;
        paths.push(Valid {
            path: path.to_owned(),
            nar_hash,
            nar_size,
            references: (0..references)
                .map(|_| line().map(str::to_owned))
                .collect::<Result<_>>()?,
        });
    }
    Ok(paths)
}

impl Row {
    /// The file that names what is read, one a line.
    pub(super) fn list(&self, source: Source) -> PathBuf {
        self.directory.join(match source {
            Source::StorePaths => "list",
            Source::Copy => "staged-list",
            Source::Export => "export-list",
            Source::ZstdExport => "zstd-export-list",
            Source::BinaryCache => "binary-cache-list",
        })
    }

    /// The structured attributes of a derivation that makes an image of the closure in
    /// the form `form`.
    pub(super) fn attrs(&self, form: &str) -> PathBuf {
        self.directory.join(format!("attrs-{form}.json"))
    }

    /// Where the closure stands in other forms.
    pub(super) fn forms(&self) -> PathBuf {
        self.directory.join("forms")
    }

    fn stage(&self, workspace: &Workspace, paths: &[&str]) -> Result<()> {
        let shell = &workspace.shell;
        let staged = &self.staged;
        shell.remove_path(staged)?;
        let store = staged.join("nix/store");
        shell.create_dir(&store)?;
        cmd!(shell, "cp -a -t {store} {paths...}").quiet().run()?;
        let registration = staged.join("nix-path-registration");
        shell.copy_file(&self.registration, registration)?;
        shell.write_file(self.list(Source::Copy), staged.as_os_str().as_bytes())?;
        Ok(())
    }

    /// Bytes of an image with room for all: for those who cannot tell themselves.
    pub(super) fn roomy_bytes(&self) -> u64 {
        let needed = self.content.block_bytes + self.content.entries * 1024;
        (needed + needed / 10).next_multiple_of(MIB) + 256 * MIB
    }

    /// Inodes of an image with room for all.
    pub(super) fn roomy_inodes(&self) -> u64 {
        self.content.entries + 2048
    }

    /// Removes what only this row needs.
    pub(super) fn clean_up(&self, workspace: &Workspace, tools: &Tools) -> Result<()> {
        let shell = &workspace.shell;
        shell.remove_path(tools.raw_image())?;
        shell.remove_path(&self.staged)?;
        shell.remove_path(self.forms())?;
        if let Some(path) = &self.synthetic {
            cmd!(shell, "nix-store --delete {path}")
                .quiet()
                .ignore_stdout()
                .ignore_stderr()
                .run()?;
        }
        Ok(())
    }

    /// Fails unless two copies, an image and the one that nixpkgs' steps make, fit into
    /// memory beside the pages that are read.
    fn check_memory(&self) -> Result<()> {
        let needed = 3 * self.content.block_bytes + GIB;
        let available = meminfo("MemAvailable")?;
        ensure!(
            available > needed,
            "{available} bytes of memory are free, and files in {TMPFS} need {needed}"
        );
        Ok(())
    }
}

/// A value of `/proc/meminfo`, in bytes.
pub(super) fn meminfo(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: u64 = kib
        .with_context(|| format!("/proc/meminfo has no {name}"))?
        .parse()?;
    Ok(kib << 10)
}

impl Kind {
    /// Who is measured on it.
    pub(super) fn peers(self) -> &'static [Peer] {
        match self {
            Self::Forms => forms::FORMS,
            Self::Containers => containers::CONTAINERS,
            Self::Closure | Self::CrowdedDirectory | Self::LargeFiles => PEERS,
        }
    }

    pub(super) fn name(self, size: Size) -> String {
        let (files, bytes) = self.files(size);
        match self {
            Self::Forms => "the same closure, in other forms".into(),
            Self::Containers => "the same closure, in containers".into(),
            Self::Closure => match size {
                Size::Quick => "the small closure".into(),
                Size::Full => "the closure of `tests/closures/system.txt`".into(),
            },
            Self::CrowdedDirectory => format!("one directory of {files} files"),
            Self::LargeFiles => format!("{files} files of {} MiB", bytes / MIB),
        }
    }

    /// How many files a made row has, and the bytes of each.
    fn files(self, size: Size) -> (u64, u64) {
        match (self, size) {
            (Self::Closure | Self::Forms | Self::Containers, _) => (0, 0),
            (Self::CrowdedDirectory, Size::Quick) => (3_000, 1_000),
            (Self::CrowdedDirectory, Size::Full) => (100_000, 1_000),
            (Self::LargeFiles, Size::Quick) => (2, 64 * MIB),
            (Self::LargeFiles, Size::Full) => (10, 512 * MIB),
        }
    }
}

impl Content {
    fn count(&mut self, path: &Path) -> Result<()> {
        let stat = path.symlink_metadata()?;
        self.entries += 1;
        let name = path.file_name().unwrap_or_default();
        self.names_with_space += u64::from(name.as_bytes().contains(&b' '));
        if stat.is_file() {
            self.bytes += stat.len();
            self.block_bytes += stat.len().next_multiple_of(BLOCK_BYTES);
        } else if stat.is_dir() {
            self.block_bytes += BLOCK_BYTES;
            for entry in path.read_dir()? {
                self.count(&entry?.path())?;
            }
        }
        Ok(())
    }
}

/// Bytes that nothing can compress, the same in each run: xorshift64*.
struct Random(u64);

impl Random {
    fn write(&mut self, path: &Path, bytes: u64) -> Result<()> {
        let mut file = File::create(path)?;
        let mut buffer = vec![0; usize::try_from(bytes.min(MIB))?];
        let mut left = usize::try_from(bytes)?;
        while left > 0 {
            for word in buffer.chunks_mut(8) {
                self.0 ^= self.0 >> 12;
                self.0 ^= self.0 << 25;
                self.0 ^= self.0 >> 27;
                let next = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
                word.copy_from_slice(&next[..word.len()]);
            }
            let now = left.min(buffer.len());
            file.write_all(&buffer[..now])?;
            left -= now;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nix_dumps_is_read() {
        let paths = parse_registration("/a\nff\n12\n\n2\n/b\n/c\n/b\nsha256:00\n7\n/x.drv\n0\n");
        let paths = paths.unwrap();
        assert_eq!(paths.len(), 2);
        assert_eq!(paths[0].nar_hash, "sha256:ff");
        assert_eq!(paths[0].nar_size, 12);
        assert_eq!(paths[0].references, ["/b", "/c"]);
        assert_eq!(paths[1].path, "/b");
        assert_eq!(paths[1].nar_hash, "sha256:00");
    }

    #[test]
    fn a_registration_that_ends_early_is_an_error() {
        assert!(parse_registration("/a\nff\n12\n\n2\n/b\n").is_err());
    }
}
