//! The narinfos of a closure.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::parallel::for_each_index;
use super::{CacheError, Narinfo, parse_narinfo, read_small};
use crate::store::StorePath;

/// The narinfos of `paths` and of all that they refer to, in the order of their paths.
///
/// They are read breadth first. An error is that of the first path among those that are
/// the fewest references away, and its referrer is the first path that leads to it.
pub(super) fn find(
    cache: &Path,
    paths: &[StorePath],
    interrupt: &AtomicBool,
) -> Result<Vec<Narinfo>, CacheError> {
    let mut seen: BTreeSet<StorePath> = paths.iter().cloned().collect();
    let mut next: BTreeMap<StorePath, Option<StorePath>> =
        seen.iter().map(|path| (path.clone(), None)).collect();
    let mut found = Vec::new();
    while !next.is_empty() {
        let wanted: Vec<_> = std::mem::take(&mut next).into_iter().collect();
        let narinfos = for_each_index((0..wanted.len()).collect(), |index| {
            if interrupt.load(Ordering::Relaxed) {
                return Err(CacheError::Interrupted);
            }
            let (path, referrer) = &wanted[index];
            read(cache, path, referrer.as_ref())
        })?;
        for narinfo in &narinfos {
            for reference in &narinfo.references {
                if !seen.contains(reference) {
                    seen.insert(reference.clone());
                    next.insert(reference.clone(), Some(narinfo.path.clone()));
                }
            }
        }
        found.extend(narinfos);
    }
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The narinfo of `path`, which `referrer` refers to.
fn read(
    cache: &Path,
    path: &StorePath,
    referrer: Option<&StorePath>,
) -> Result<Narinfo, CacheError> {
    let hash = &path.base_name()[..StorePath::HASH_LENGTH];
    let file = cache.join(format!("{hash}.narinfo"));
    let text = match read_small(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(CacheError::Missing {
                path: path.clone(),
                file,
                referrer: referrer.cloned(),
            });
        }
        Err(source) => return Err(CacheError::Read { path: file, source }),
        Ok(text) => text,
    };
    let narinfo = match parse_narinfo(&text) {
        Err(source) => return Err(CacheError::Narinfo { file, source }),
        Ok(narinfo) => narinfo,
    };
    if narinfo.path != *path {
        return Err(CacheError::OtherPath {
            file,
            path: path.clone(),
            found: narinfo.path,
        });
    }
    Ok(narinfo)
}
