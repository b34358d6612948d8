//! mkext4 0.0.3 as a builder: `mkext4 LIST IMAGE BYTES INODES` makes an image of the
//! store paths that the file LIST names, one a line, as the library's own documentation
//! does it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use mkext4::sink::FileSink;
use mkext4::{FsBuilder, InodeCount, InodeHandle, Meta, Options, ROOT};
use nix2image_peers::store_paths;

const EPOCH: i64 = 1;

/// What is declared, and what is to be written.
struct Declared {
    builder: FsBuilder,
    files: Vec<(InodeHandle, PathBuf)>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, image, bytes, inodes] = &arguments[..] else {
        bail!("usage: mkext4 LIST IMAGE BYTES INODES");
    };
    let mut options = Options::new(bytes.parse()?, [0x44; 16], EPOCH);
    options.inodes = InodeCount::Exact(inodes.parse()?);
    let mut declared = Declared {
        builder: FsBuilder::new(options)?,
        files: Vec::new(),
    };
    let nix = declared.builder.mkdir(ROOT, "nix", meta(0o755))?;
    let store = declared.builder.mkdir(nix, "store", meta(0o755))?;
    for path in store_paths(list)? {
        declared.declare(store, &path)?;
    }

    let layout = declared.builder.seal()?;
    let mut sink = FileSink::create(Path::new(image), layout.image_len())?;
    let mut writer = layout.writer(&mut sink)?;
    for (handle, path) in &declared.files {
        let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        writer.fill(*handle, &mut file)?;
    }
    writer.finish()?;
    Ok(())
}

impl Declared {
    fn declare(&mut self, parent: InodeHandle, path: &Path) -> Result<()> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{} is not UTF-8", path.display()))?;
        let stat = path
            .symlink_metadata()
            .with_context(|| format!("reading {}", path.display()))?;
        if stat.is_dir() {
            let directory = self.builder.mkdir(parent, name, meta(0o555))?;
            let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
            entries.sort_unstable_by_key(fs::DirEntry::file_name);
            for entry in entries {
                self.declare(directory, &entry.path())?;
            }
        } else if stat.is_symlink() {
            let target = fs::read_link(path)?;
            let target = target.to_str().context("a target is not UTF-8")?;
            self.builder.symlink(parent, name, target, meta(0o777))?;
        } else {
            let mode = if stat.mode() & 0o100 == 0 {
                0o444
            } else {
                0o555
            };
            let file = self.builder.file(parent, name, meta(mode), stat.len())?;
            if stat.len() > 0 {
                self.files.push((file, path.into()));
            }
        }
        Ok(())
    }
}

fn meta(mode: u16) -> Meta {
    Meta::new(mode, 0, 0, (EPOCH, 0))
}
