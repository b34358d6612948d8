//! Walking store paths on all cores, with as few system calls as that takes.

use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir};

/// A directory and the regular files in it.
#[derive(Debug)]
pub struct Directory {
    /// Its path.
    pub path: PathBuf,
    /// Its files that are not empty.
    pub files: Vec<File>,
}

/// A regular file.
#[derive(Debug)]
pub struct File {
    /// Its name in its directory.
    pub name: CString,
    /// Bytes.
    pub size: u64,
}

/// Bytes for what one call of getdents64(2) gives.
const LISTING_BYTES: usize = 64 << 10;

/// How many files of one directory a thread looks at before it asks for more.
const FILES_AT_ONCE: usize = 512;

/// All directories in `tops`, and their files.
pub fn walk(tops: &[PathBuf]) -> Result<Vec<Directory>> {
    let mut found = Vec::new();
    let mut open = Vec::new();
    for top in tops {
        let stat = top
            .symlink_metadata()
            .with_context(|| format!("reading {}", top.display()))?;
        if stat.is_dir() {
            open.push(top.clone());
        } else if let (true, Some(directory), Some(name)) =
            (stat.is_file(), top.parent(), top.file_name())
        {
            found.push(Directory {
                path: directory.into(),
                files: vec![File {
                    name: CString::new(name.as_bytes())?,
                    size: stat.len(),
                }],
            });
        }
    }
    while !open.is_empty() {
        let listed: Vec<_> = open.par_iter().map(|path| list(path)).collect();
        let mut deeper = Vec::new();
        for (path, listed) in open.into_iter().zip(listed) {
            let (files, directories) =
                listed.with_context(|| format!("listing {}", path.display()))?;
            deeper.extend(
                directories
                    .iter()
                    .map(|name| path.join(OsStr::from_bytes(name.to_bytes()))),
            );
            found.push(Directory { path, files });
        }
        open = deeper;
    }
    Ok(found)
}

/// Opens the directory at `path`.
pub fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .with_context(|| format!("opening {}", path.display()))
}

fn list(path: &Path) -> Result<(Vec<File>, Vec<CString>)> {
    let directory = open(path)?;
    let mut buffer = Vec::with_capacity(LISTING_BYTES);
    let mut listing = RawDir::new(&directory, buffer.spare_capacity_mut());
    let (mut names, mut directories) = (Vec::new(), Vec::new());
    while let Some(entry) = listing.next() {
        let entry = entry?;
        match entry.file_type() {
            FileType::RegularFile => names.push(entry.file_name().to_owned()),
            FileType::Directory if !matches!(entry.file_name().to_bytes(), b"." | b"..") => {
                directories.push(entry.file_name().to_owned());
            }
            _ => {}
        }
    }
    let look_at = |name: CString| -> Result<File> {
        let stat = rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(File {
            name,
            size: u64::try_from(stat.st_size)?,
        })
    };
    let mut files = names
        .into_par_iter()
        .with_min_len(FILES_AT_ONCE)
        .map(look_at)
        .collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.size > 0);
    Ok((files, directories))
}
