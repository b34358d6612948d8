//! Hashing alone: `hash LIST` reads the files of the store paths that the file LIST
//! names, one a line, and takes a SHA-256 of each store path, on all cores.
//!
//! It is what Nix's hashes cost at least: the bytes of a store path come one behind the
//! other, so each of them is the work of one thread, and the largest ones come first.
//! Nothing is written, and what stands between the contents in a NAR is left out.

use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use nix2image_peers::store_paths;
use nix2image_peers::walk::{self, Directory};
use rayon::prelude::*;
use ring::digest::{self, SHA256};
use rustix::fs::{Mode, OFlags};

/// What is read at once: it stays in a core's own cache until it is hashed.
const BUFFER_BYTES: usize = 256 << 10;

/// A store path.
struct Content {
    directories: Vec<Directory>,
    /// Of its files.
    bytes: u64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list] = &arguments[..] else {
        bail!("usage: hash LIST");
    };
    let mut contents = store_paths(list)?
        .into_par_iter()
        .map(Content::of)
        .collect::<Result<Vec<_>>>()?;
    contents.sort_by_key(|content| std::cmp::Reverse(content.bytes));

    let next = AtomicUsize::new(0);
    let results = rayon::broadcast(|_| -> Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Some(content) = contents.get(next.fetch_add(1, Ordering::Relaxed)) {
            black_box(content.hash(&mut buffer)?);
        }
        Ok(())
    });
    results.into_iter().collect()
}

impl Content {
    fn of(top: PathBuf) -> Result<Self> {
        let directories = walk::walk(&[top])?;
        let files = directories.iter().flat_map(|directory| &directory.files);
        Ok(Self {
            bytes: files.map(|file| file.size).sum(),
            directories,
        })
    }

    fn hash(&self, buffer: &mut [u8]) -> Result<digest::Digest> {
        let mut hasher = digest::Context::new(&SHA256);
        for Directory { path, files } in &self.directories {
            if files.is_empty() {
                continue;
            }
            let directory = walk::open(path)?;
            for file in files {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                let opened = rustix::fs::openat(&directory, &file.name, flags, Mode::empty());
                let mut opened = File::from(opened.with_context(|| {
                    let name = file.name.to_string_lossy();
                    format!("opening {name} in {}", path.display())
                })?);
                loop {
                    match opened.read(buffer)? {
                        0 => break,
                        found => hasher.update(&buffer[..found]),
                    }
                }
            }
        }
        Ok(hasher.finish())
    }
}
