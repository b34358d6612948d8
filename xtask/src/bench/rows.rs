//! What is measured on: store paths, with all that a peer needs to know of them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ::nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use xshell::cmd;

use super::huge_pages::HugePages;
use super::kinds::Kind;
use super::peers::Tools;
use super::stores::Store;
use super::{Size, TMPFS};
use super::{containers, forms, smaller};
use crate::workspace::Workspace;
use crate::{closure, nix};

/// What a peer reads.
#[derive(Clone, Copy, PartialEq, Eq)]
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
    /// The store path that refers to all others, if Nix made them.
    pub(super) top: String,
    /// As `nix-store --dump-db` writes it.
    pub(super) registration: PathBuf,
    /// A copy of the store paths, as they stand in an image; there if a peer reads it.
    pub(super) staged: PathBuf,
    pub(super) content: Content,
    pub(super) paths: Vec<String>,
    /// How often each peer runs, unless it is slow.
    pub(super) rounds: usize,
    /// Whether what is read must not be in memory.
    pub(super) is_cold: bool,
    /// Whether images are written to the filesystem that the store paths stand on.
    pub(super) writes_beside: bool,
    /// Where images are written, if not where all others are. Dropped before what it is on.
    pub(super) tools: Option<Tools>,
    /// What they stand on then, if it is a tmpfs.
    huge_pages: Option<HugePages>,
    /// What stands at `/nix/store`, if not what Nix has there.
    pub(super) store: Option<Store>,
    /// On the disk, for all that peers are given.
    directory: PathBuf,
}

/// What store paths consist of.
#[derive(Clone, Copy, Default)]
pub(super) struct Content {
    pub(super) entries: u64,
    pub(super) files: u64,
    /// Of files.
    pub(super) bytes: u64,
    /// Of the blocks of files.
    pub(super) file_block_bytes: u64,
    /// Of the blocks of files and directories.
    block_bytes: u64,
    /// Names with a space in them.
    pub(super) names_with_space: u64,
}

const BLOCK_BYTES: u64 = 4096;
pub(super) const MIB: u64 = 1 << 20;
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

    let mut row = Row {
        name: kind.name(size),
        top: String::new(),
        registration: directory.join("registration"),
        content: Content::default(),
        paths: Vec::new(),
        rounds: kind.rounds(size),
        is_cold: kind == Kind::Cold,
        writes_beside: kind.writes_beside(),
        tools: None,
        huge_pages: None,
        store: None,
        staged: directory.join("staged"),
        directory: directory.clone(),
    };
    let registration = if let Some(shape) = kind.shape(size) {
        let bytes = shape.block_bytes();
        let on = kind
            .filesystem()
            .map(|filesystem| (filesystem, roomy(bytes)));
        let store = row.store.insert(Store::new(&directory, on)?);
        row.paths = shape.make(&store.paths())?;
        row.top.clone_from(&row.paths[0]);
        row.paths.iter().map(|path| unregistered(path)).collect()
    } else {
        row.top = system_closure(workspace, &directory, size)?;
        let top = &row.top;
        let query = cmd!(shell, "nix-store --query --requisites {top}");
        row.paths = query.quiet().read()?.lines().map(str::to_owned).collect();
        row.paths.sort_unstable();
        let paths = &row.paths;
        let dump = cmd!(shell, "nix-store --dump-db {paths...}")
            .quiet()
            .read()?;
        if let Some(filesystem) = kind.filesystem() {
            let bytes = Content::of(paths)?.block_bytes;
            let on = Some((filesystem, roomy(bytes)));
            let copy = row.store.insert(Store::new(&directory, on)?).paths();
            cmd!(shell, "cp -a -t {copy} {paths...}").quiet().run()?;
        }
        dump
    };
    if let Some(store) = &row.store {
        store.bind()?;
        row.staged = store.root().join("staged");
        if row.writes_beside {
            row.tools = Some(tools.on(store.root())?);
        }
    }
    if kind == Kind::HugePages {
        let mounted = row.huge_pages.insert(HugePages::mount(&directory)?);
        row.tools = Some(tools.on(mounted.root())?);
    }
    let image = row.tools.as_ref().unwrap_or(tools).image();
    let attrs = row.describe(workspace, &image, &registration)?;
    match kind {
        Kind::Forms => forms::prepare(workspace, &row, &attrs)?,
        Kind::Containers => containers::prepare(workspace, tools, &row, &attrs)?,
        Kind::Deduplicated | Kind::Settings => smaller::prepare(workspace, &row, &attrs)?,
        Kind::Closure | Kind::HugePages | Kind::Crowd | Kind::LargeFiles => row.stage(workspace)?,
        _ => {}
    }
    row.check_memory()?;
    Ok(row)
}

/// Bytes of a filesystem for files of `bytes`, and twice as much beside them.
fn roomy(bytes: u64) -> u64 {
    bytes * 5 / 2 + 2 * GIB
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

/// What `nix-store --dump-db` would write of a path that Nix does not know.
fn unregistered(path: &str) -> String {
    format!("{path}\n{}\n1\n\n0\n", "0".repeat(64))
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
    /// The first store paths of a row that was made, as a row of their own.
    pub(super) fn first_paths(
        &self,
        workspace: &Workspace,
        tools: &Tools,
        number: usize,
    ) -> Result<Self> {
        let directory = self.directory.join("series");
        workspace.shell.create_dir(&directory)?;
        let mut row = Self {
            name: format!("{number} store paths of {}", self.name),
            top: self.top.clone(),
            registration: directory.join("registration"),
            staged: directory.join("staged"),
            content: Content::default(),
            paths: self.paths[..number].to_vec(),
            rounds: self.rounds,
            is_cold: false,
            writes_beside: false,
            tools: None,
            huge_pages: None,
            store: None,
            directory,
        };
        let registration: String = row.paths.iter().map(|path| unregistered(path)).collect();
        row.describe(workspace, &tools.image(), &registration)?;
        Ok(row)
    }

    /// Writes what peers are told of the store paths; the attributes of the plain form.
    fn describe(
        &mut self,
        workspace: &Workspace,
        image: &Path,
        registration: &str,
    ) -> Result<Value> {
        let shell = &workspace.shell;
        let attrs = json!({
            "outputs": { "out": image },
            "exportReferencesGraph": { "closure": [self.top] },
            "closure": parse_registration(registration)?,
            "nix2image": { "version": 1, "graphs": ["closure"], "ext4": { "label": "nixos" } },
        });
        self.content = Content::of(&self.paths)?;
        shell.write_file(self.list(Source::StorePaths), self.paths.join("\n"))?;
        shell.write_file(&self.registration, registration)?;
        shell.write_file(self.attrs(forms::PLAIN), attrs.to_string())?;
        Ok(attrs)
    }

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

    fn stage(&self, workspace: &Workspace) -> Result<()> {
        let shell = &workspace.shell;
        let (staged, paths) = (&self.staged, &self.paths);
        shell.remove_path(staged)?;
        let store = staged.join("nix/store");
        shell.create_dir(&store)?;
        cmd!(shell, "cp -a -t {store} {paths...}").quiet().run()?;
        let registration = staged.join("nix-path-registration");
        shell.copy_file(&self.registration, registration)?;
        shell.write_file(self.list(Source::Copy), staged.as_os_str().as_bytes())?;
        Ok(())
    }

    /// Lets the kernel forget the copy of the store paths, which takes as much memory as they do.
    pub(super) fn forget_copy(&self) -> Result<()> {
        forget(&self.staged).with_context(|| format!("forgetting {}", self.staged.display()))
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
    pub(super) fn clean_up(self, workspace: &Workspace, tools: &Tools) -> Result<()> {
        let shell = &workspace.shell;
        shell.remove_path(tools.raw_image())?;
        shell.remove_path(&self.staged)?;
        shell.remove_path(self.forms())?;
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

/// Lets the kernel forget what it keeps of the files in a directory, and of those below.
fn forget(directory: &Path) -> Result<()> {
    for entry in directory.read_dir()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            forget(&entry.path())?;
        } else if kind.is_file() {
            let file = File::open(entry.path())?;
            // What is not on the disk yet is not forgotten.
            file.sync_data()?;
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
    }
    Ok(())
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

impl Content {
    fn of(paths: &[String]) -> Result<Self> {
        let mut content = Self::default();
        for path in paths {
            content.count(Path::new(path))?;
        }
        Ok(content)
    }

    fn count(&mut self, path: &Path) -> Result<()> {
        let stat = path.symlink_metadata()?;
        self.entries += 1;
        let name = path.file_name().map_or(&b""[..], OsStr::as_bytes);
        self.names_with_space += u64::from(name.contains(&b' '));
        if stat.is_file() {
            self.files += 1;
            self.bytes += stat.len();
            self.file_block_bytes += stat.len().next_multiple_of(BLOCK_BYTES);
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

    #[test]
    fn a_path_that_nix_does_not_know_is_described_as_nix_would() {
        let paths = parse_registration(&unregistered("/a")).unwrap();
        assert_eq!(paths.len(), 1);
        assert_eq!(paths[0].path, "/a");
        assert_eq!(paths[0].references, [""; 0]);
    }
}
