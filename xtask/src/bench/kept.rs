//! Free memory that a virtual machine keeps from its host.
//!
//! The kernel gives free memory back to the host in whole blocks of 2 MiB (free page reporting).
//! Who takes such a block later waits for the host, several times as long as a run takes with
//! memory that is there, and who comes after whom decides who that is. Free memory in smaller fragments
//! stays. So the first 128 KiB of each 2 MiB are held while the bench runs: what is left is in
//! fragments of 128 KiB to 1 MiB, large enough that nobody feels them. All are written before,
//! so that the host has given them. As compaction would make the blocks whole again, it does not
//! run by itself then.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::fcntl::{FallocateFlags, fallocate};

use super::huge_pages::HugePages;
use super::rows::meminfo;
use super::settle;

/// What the kernel gives back at once, and a huge page.
const BLOCK: u64 = 2 << 20;

/// What is held of each.
const HELD: u64 = 128 << 10;

/// How eager the kernel is to compact memory by itself; 0 is not at all.
const COMPACTION: &str = "/proc/sys/vm/compaction_proactiveness";

/// Held while this lives.
pub(super) struct Kept {
    /// Of holes, but for what is held of each [`BLOCK`].
    file: File,
    /// Where it is: only in huge pages do a file's blocks begin where the memory's do.
    _mounted: HugePages,
    _compaction: NoCompaction,
}

/// Memory is not compacted while this lives.
struct NoCompaction {
    /// What [`COMPACTION`] was.
    before: String,
}

impl Kept {
    /// Breaks most of the free memory into fragments, through a file that is mounted in
    /// `directory`; nothing where none is given back.
    pub(super) fn keep(directory: &Path) -> Result<Option<Self>> {
        if !settle::is_given_back() {
            return Ok(None);
        }
        gather()?;
        let compaction = NoCompaction::begin()?;
        let mounted = HugePages::mount(directory)?;
        let file = File::create(mounted.root().join("kept"))?;
        // Most of it, and not so much that a program has to end for it.
        let bytes = meminfo("MemAvailable")? / 8 * 7 / BLOCK * BLOCK;
        hold(&file, bytes).with_context(|| format!("taking {bytes} bytes of memory"))?;
        Ok(Some(Self {
            file,
            _mounted: mounted,
            _compaction: compaction,
        }))
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> Result<u64> {
        Ok(self.file.metadata()?.blocks() * 512)
    }
}

impl NoCompaction {
    fn begin() -> Result<Self> {
        let before = fs::read_to_string(COMPACTION)
            .with_context(|| format!("reading how eager compaction is, {COMPACTION}"))?;
        tell(COMPACTION, "0")?;
        Ok(Self { before })
    }
}

impl Drop for NoCompaction {
    fn drop(&mut self) {
        if let Err(error) = tell(COMPACTION, self.before.trim()) {
            eprintln!("    still 0: {error:#}");
        }
    }
}

/// Makes free memory whole, which the page cache and earlier programs broke into small pieces.
fn gather() -> Result<()> {
    // Pages that are not on the disk yet could not be dropped.
    nix::unistd::sync();
    tell("/proc/sys/vm/drop_caches", "3")?;
    tell("/proc/sys/vm/compact_memory", "1")
}

fn tell(setting: &str, value: &str) -> Result<()> {
    fs::write(setting, value).with_context(|| format!("writing {value} to {setting}"))
}

/// Takes `bytes`, a multiple of [`BLOCK`], and gives all back but [`HELD`] of each.
fn hold(file: &File, bytes: u64) -> Result<()> {
    // First of all: only within its length does a file get huge pages.
    file.set_len(bytes)?;
    let zeros = vec![0; usize::try_from(BLOCK)?];
    let blocks = (0..bytes).step_by(usize::try_from(BLOCK)?);
    for offset in blocks.clone() {
        file.write_all_at(&zeros, offset)?;
    }
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    for offset in blocks {
        let (offset, length) = (offset + HELD, BLOCK - HELD);
        fallocate(file, hole, offset.try_into()?, length.try_into()?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_each_block_is_held() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        hold(&file, 5 * BLOCK).unwrap();
        assert_eq!(file.metadata().unwrap().blocks() * 512, 5 * HELD);
    }
}
