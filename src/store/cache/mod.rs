//! Binary caches in a directory, as `nix copy --to file://…` makes them.
//!
//! ```text
//! nix-cache-info     StoreDir: /nix/store
//! HASH.narinfo       what is known of the store path with that hash
//! nar/*.nar[.zst|.xz]
//! ```
//!
//! [`read_cache`] finds a closure through the narinfos (`closure.rs`), and makes a tree of
//! each path's NAR (`content.rs`). A NAR that is not compressed is used where it lies. All
//! others are unpacked once, on all threads, into one temporary file.
//!
//! Sizes are checked, and the hash of a compressed file. That of a NAR is not: its bytes
//! are read once more when they are written, and are checked there.

mod closure;
mod content;
mod error;
mod narinfo;
mod parallel;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;

pub use error::CacheError;
pub use narinfo::{Compression, Narinfo, NarinfoError, parse_narinfo};

use super::{Member, STORE_DIRECTORY, StorePath};
use crate::tree::Timestamp;

/// The closure of `paths` out of the binary cache in the directory `cache`, in the order
/// of the paths. What is compressed is unpacked into an unnamed file in
/// `spool_directory`, or in `$TMPDIR` or `/tmp` if that is not given; it lives as long as
/// the members do. `interrupt` may stop that. Of several errors, the one of the first path
/// is reported.
pub fn read_cache(
    cache: &Path,
    paths: &[StorePath],
    mtime: Timestamp,
    spool_directory: Option<&Path>,
    interrupt: &AtomicBool,
) -> Result<Vec<Member>, CacheError> {
    check_cache(cache)?;
    let narinfos = closure::find(cache, paths, interrupt)?;
    content::members(cache, narinfos, mtime, spool_directory, interrupt)
}

/// Checks that `cache` is of our store directory. Nix wants `nix-cache-info` to be there;
/// nothing of what we need hangs on it.
fn check_cache(cache: &Path) -> Result<(), CacheError> {
    let reading = |path: &Path| {
        let path = path.into();
        |source| CacheError::Read { path, source }
    };
    fs::read_dir(cache).map_err(reading(cache))?;
    let file = cache.join("nix-cache-info");
    let info = match read_small(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        info => info.map_err(reading(&file))?,
    };
    for line in info.split(|byte| *byte == b'\n') {
        if let Some(found) = line.strip_prefix(b"StoreDir:")
            && found.trim_ascii() != STORE_DIRECTORY.as_bytes()
        {
            let found = String::from_utf8_lossy(found.trim_ascii()).into_owned();
            return Err(CacheError::StoreDirectory { file, found });
        }
    }
    Ok(())
}

/// The most bytes of a narinfo. 20,000 references of the longest names are fewer.
const MAX_SMALL_BYTES: u64 = 16 << 20;

fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let (file, length) = open(path)?;
    if length > MAX_SMALL_BYTES {
        let reason = format!("it has {length} bytes, more than {MAX_SMALL_BYTES}");
        return Err(io::Error::new(ErrorKind::FileTooLarge, reason));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SMALL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file, and tells its bytes. Of another kind, a FIFO say, it might wait
/// for ever.
fn open(path: &Path) -> io::Result<(File, u64)> {
    if !fs::metadata(path)?.is_file() {
        let reason = "it is no regular file";
        return Err(io::Error::new(ErrorKind::InvalidInput, reason));
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}
