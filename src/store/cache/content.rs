//! The content of a binary cache: the NARs of its paths, as trees.

use std::cmp::Reverse;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lzma_rust2::XzReader;
use ring::digest::{Context, SHA256};

use super::parallel::for_each_index;
use super::{CacheError, Compression, Narinfo, open};
use crate::source::Container;
use crate::store::spool::{Region, Spool, SpoolError};
use crate::store::{Content, Member, NarHash, nar};
use crate::tree::{Timestamp, Tree};

/// The most memory, in KiB, that a thread takes to unpack xz: four times what `xz -9`
/// needs. For zstd the library has a limit of its own, a window of 128 MiB.
const XZ_MEMORY_KIB: u32 = 260 << 10;

/// A member for each of `narinfos`, in their order, which is that of their paths.
pub(super) fn members(
    cache: &Path,
    narinfos: Vec<Narinfo>,
    mtime: Timestamp,
    spool_directory: Option<&Path>,
    interrupt: &AtomicBool,
) -> Result<Vec<Member>, CacheError> {
    let unpacked = narinfos.iter().map(unpacked_size);
    let regions = Region::in_a_row(unpacked).ok_or_else(|| {
        let largest = narinfos.iter().max_by_key(|narinfo| unpacked_size(narinfo));
        let largest = largest.expect("nothing has room");
        CacheError::TooLarge {
            cache: cache.into(),
            largest: largest.path.clone(),
            size: largest.nar.size,
        }
    })?;
    let spool = Spool::new(spool_directory, cache).map_err(|source| CacheError::Spool {
        cache: cache.into(),
        source,
    })?;
    // The largest first: begun last, one thread would work on it alone.
    let mut order: Vec<_> = (0..narinfos.len()).collect();
    order.sort_by_key(|index| Reverse(unpacked_size(&narinfos[*index])));
    let trees = for_each_index(order, |index| {
        if interrupt.load(Ordering::Relaxed) {
            return Err(CacheError::Interrupted);
        }
        let nar = NarFile {
            narinfo: &narinfos[index],
            file: cache.join(&narinfos[index].url),
        };
        nar.read(&spool, regions[index], mtime, interrupt)
    })?;
    Ok(narinfos.into_iter().zip(trees).map(member).collect())
}

/// Bytes that a path needs in the spool.
fn unpacked_size(narinfo: &Narinfo) -> u64 {
    match narinfo.compression {
        Compression::None => 0,
        Compression::Zstd | Compression::Xz => narinfo.nar.size,
    }
}

fn member((narinfo, tree): (Narinfo, Tree)) -> Member {
    Member {
        path: narinfo.path,
        nar: Some(narinfo.nar),
        references: narinfo.references,
        ca: narinfo.ca,
        offset: None,
        content: Content::Stream(tree),
    }
}

/// A file of the cache that holds a NAR.
struct NarFile<'a> {
    narinfo: &'a Narinfo,
    file: PathBuf,
}

impl NarFile<'_> {
    /// The NAR as a tree, unpacked into `region` if it is compressed.
    fn read(
        &self,
        spool: &Spool,
        region: Region,
        mtime: Timestamp,
        interrupt: &AtomicBool,
    ) -> Result<Tree, CacheError> {
        let (file, length) = open(&self.file).map_err(|source| CacheError::NarFile {
            path: self.narinfo.path.clone(),
            file: self.file.clone(),
            source,
        })?;
        if let Some(size) = self.narinfo.file_size {
            self.check_size("FileSize", size, length)?;
        }
        if self.narinfo.compression == Compression::None {
            self.check_size("NarSize", self.narinfo.nar.size, length)?;
            self.check_hash(self.narinfo.nar.hash)?;
            let container = Arc::new(Container::at(&self.file));
            return self.tree(&container, 0..length, mtime);
        }
        self.unpack(file, spool, region, interrupt)?;
        self.tree(spool.container(), region.start..region.end(), mtime)
    }

    fn unpack(
        &self,
        file: impl Read,
        spool: &Spool,
        region: Region,
        interrupt: &AtomicBool,
    ) -> Result<(), CacheError> {
        let mut file = Hashing {
            file,
            hash: self.narinfo.file_hash.map(|_| Context::new(&SHA256)),
        };
        let filled = if self.narinfo.compression == Compression::Zstd {
            zstd::Decoder::new(&mut file)
                .map_err(SpoolError::Unpack)
                .and_then(|from| spool.fill(region, from, interrupt))
        } else {
            let file = BufReader::with_capacity(64 << 10, &mut file);
            let from = XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB);
            spool.fill(region, from, interrupt)
        };
        match filled {
            Err(SpoolError::Interrupted) => return Err(CacheError::Interrupted),
            Err(source) => {
                return Err(CacheError::Unpack {
                    path: self.narinfo.path.clone(),
                    file: self.file.clone(),
                    source,
                });
            }
            Ok(()) => {}
        }
        match file.hash {
            // Both decoders have read the file up to its end.
            Some(hash) => self.check_hash(hash.into()),
            None => Ok(()),
        }
    }

    /// The NAR in `range`, which it must fill.
    fn tree(
        &self,
        container: &Arc<Container>,
        range: Range<u64>,
        mtime: Timestamp,
    ) -> Result<Tree, CacheError> {
        let (tree, end) =
            nar::read_tree(container, range.clone(), mtime).map_err(|source| CacheError::Nar {
                path: self.narinfo.path.clone(),
                file: self.file.clone(),
                start: range.start,
                source,
            })?;
        if end != range.end {
            return Err(CacheError::NarEnd {
                path: self.narinfo.path.clone(),
                file: self.file.clone(),
                expected: range.end - range.start,
                found: end - range.start,
            });
        }
        Ok(tree)
    }

    fn check_size(&self, key: &'static str, expected: u64, found: u64) -> Result<(), CacheError> {
        if expected == found {
            return Ok(());
        }
        Err(CacheError::Size {
            path: self.narinfo.path.clone(),
            file: self.file.clone(),
            key,
            expected,
            found,
        })
    }

    /// Checks that a file with the hash `found` has that of the narinfo, if it has one.
    fn check_hash(&self, found: NarHash) -> Result<(), CacheError> {
        match self.narinfo.file_hash {
            Some(expected) if expected != found => Err(CacheError::Hash {
                path: self.narinfo.path.clone(),
                file: self.file.clone(),
                expected,
                found,
            }),
            _ => Ok(()),
        }
    }
}

/// A file that is hashed while it is read, if that is asked for.
struct Hashing<R> {
    file: R,
    hash: Option<Context>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..read]);
        }
        Ok(read)
    }
}
