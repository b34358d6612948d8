//! Store paths that are made to be measured on: the same ones in each run.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, anyhow};

use super::stores::STORE;

const BLOCK_BYTES: u64 = 4096;
const MIB: u64 = 1 << 20;

/// How many files a thread makes before it asks for more.
const FILES_AT_ONCE: u64 = 1000;

/// How many store paths, and what is in them.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) store_paths: u64,
    /// In each of them.
    pub(super) files: u64,
    pub(super) size: FileSize,
}

/// Bytes of a file.
#[derive(Clone, Copy)]
pub(super) enum FileSize {
    Exactly(u64),
    /// Any size up to it.
    UpTo(u64),
}

impl Shape {
    /// Bytes of the blocks of all files, if each is as large as may be.
    pub(super) fn block_bytes(self) -> u64 {
        self.store_paths * self.files * self.size.most().next_multiple_of(BLOCK_BYTES)
    }

    /// Makes the store paths in `directory`, on all cores, and gives their paths in [`STORE`].
    pub(super) fn make(self, directory: &Path) -> Result<Vec<String>> {
        let names: Vec<_> = (0..self.store_paths).map(name).collect();
        for name in &names {
            fs::create_dir(directory.join(name))?;
        }
        let next = AtomicU64::new(0);
        let threads = std::thread::available_parallelism()?.get();
        std::thread::scope(|scope| {
            let work = || self.work(directory, &next);
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                let ended = worker.join();
                ended.map_err(|_| anyhow!("a thread that makes files panicked"))?
            })
        })?;
        let path = |name: &String| format!("{STORE}/{name}");
        Ok(names.iter().map(path).collect())
    }

    fn work(self, directory: &Path, next: &AtomicU64) -> Result<()> {
        let all = self.store_paths * self.files;
        let at_once = self.files.min(FILES_AT_ONCE);
        loop {
            let begin = next.fetch_add(at_once, Ordering::Relaxed);
            if begin >= all {
                return Ok(());
            }
            for number in begin..all.min(begin + at_once) {
                let path = directory
                    .join(name(number / self.files))
                    .join(format!("file-{:07}", number % self.files));
                let mut random = Random::new(number);
                let bytes = match self.size {
                    FileSize::Exactly(bytes) => bytes,
                    FileSize::UpTo(bytes) => random.next() % (bytes + 1),
                };
                random
                    .write(&path, bytes)
                    .with_context(|| format!("writing {}", path.display()))?;
            }
        }
    }
}

impl FileSize {
    /// Of the largest file.
    pub(super) fn most(self) -> u64 {
        match self {
            Self::Exactly(bytes) | Self::UpTo(bytes) => bytes,
        }
    }
}

/// The store path of this number: all digits are letters of Nix's hashes.
fn name(number: u64) -> String {
    format!("{number:032}-made")
}

/// Bytes that nothing can compress, the same in each run: xorshift64*.
struct Random(u64);

impl Random {
    /// Those of this number.
    fn new(number: u64) -> Self {
        // Neighbours begin alike, so let them part.
        let mut random = Self((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn write(&mut self, path: &Path, bytes: u64) -> Result<()> {
        let mut file = File::create(path)?;
        let mut buffer = vec![0; usize::try_from(bytes.min(MIB))?];
        let mut left = usize::try_from(bytes)?;
        while left > 0 {
            for word in buffer.chunks_mut(8) {
                let next = self.next().to_le_bytes();
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
    fn the_same_files_are_made_each_time_and_no_two_alike() {
        let shape = Shape {
            store_paths: 3,
            files: 50,
            size: FileSize::UpTo(8192),
        };
        let make = || {
            let directory = tempfile::tempdir().unwrap();
            let paths = shape.make(directory.path()).unwrap();
            assert_eq!(paths.len(), 3);
            let mut files = Vec::new();
            for path in paths {
                let path = directory.path().join(path.rsplit('/').next().unwrap());
                for file in fs::read_dir(path).unwrap() {
                    let file = file.unwrap();
                    files.push((file.file_name(), fs::read(file.path()).unwrap()));
                }
            }
            files.sort();
            files
        };
        let files = make();
        assert_eq!(files.len(), 150);
        assert!(files.iter().all(|(_, bytes)| bytes.len() <= 8192));
        assert_eq!(make(), files);
        let mut contents: Vec<_> = files.into_iter().map(|(_, bytes)| bytes).collect();
        contents.sort();
        contents.dedup();
        assert!(contents.len() > 140, "{} are different", contents.len());
    }
}
