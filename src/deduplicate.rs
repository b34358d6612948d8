//! Making equal files one, as `nix-store --optimise` does, so that an image has their
//! content once and a name for each.
//!
//! Files are equal if they have the same bytes and the same metadata: Nix hashes the NAR of a
//! file, so for it too the executable bit counts. What is equal is found by content alone.
//! Asking the host which files are one there already would make the image depend on
//! whether somebody optimised its store.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::source::{ReadError, Reader, Source};
use crate::tree::{Kind, NodeId, Tree};

/// Bytes that are read at once.
const CHUNK: u64 = 1 << 18;

/// Bytes of a file that is not read among its neighbours, but before smaller ones.
const LARGE: u64 = 1 << 20;

/// Lets [equal files](equal_files) below `tops`, each of which has one name, be one file: the
/// first of them, in the order of `tops` and of a walk over each, which has at most
/// `most_names`. The next equal file then stays and takes the names of those after it. Empty files stay as they are.
///
/// The contents that are no longer in the tree are returned. Of several errors, the first in
/// that order is reported. Once `stop` is set, no more is read and nothing becomes one.
///
/// # Panics
///
/// If a file below `tops` is late.
pub fn deduplicate(
    tree: &mut Tree,
    tops: &[NodeId],
    most_names: u32,
    stop: &AtomicBool,
) -> Result<Vec<Source>, ReadError> {
    let mut replaced = Vec::new();
    for group in equal_files(tree, tops, stop)? {
        for names in group.chunks(most_names.max(1) as usize) {
            replaced.extend(names[1..].iter().map(|file| (*file, names[0])));
        }
    }
    let removed = tree.replace(&replaced);
    let sources = removed.into_iter().filter_map(|node| match node.kind {
        Kind::File(source) => Some(source),
        _ => None,
    });
    Ok(sources.collect())
}

/// The files below `tops` that are equal, in groups of two and more, each in the order of
/// `tops` and of a walk over each; a file with several names counts once, and an empty one
/// never. Groups come in no order that means something, but always in the same.
///
/// Of several errors, the first in that order is reported. Once `stop` is set, no more is read
/// and nothing is equal.
///
/// # Panics
///
/// If a file below `tops` is late.
pub fn equal_files(
    tree: &Tree,
    tops: &[NodeId],
    stop: &AtomicBool,
) -> Result<Vec<Vec<NodeId>>, ReadError> {
    let mut hashed = hash_all(tree, &alike(files(tree, tops)), stop)?;
    if stop.load(Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let key = |(hash, file): &Hashed| (*hash, file.length, file.mode, file.rank);
    hashed.par_sort_unstable_by_key(key);
    let equal = |(hash_a, a): &Hashed, (hash_b, b): &Hashed| {
        (hash_a, a.length) == (hash_b, b.length)
            && tree.node(a.node).metadata == tree.node(b.node).metadata
    };
    let groups = hashed.chunk_by(equal).filter(|group| group.len() > 1);
    Ok(groups
        .map(|group| group.iter().map(|(_, file)| file.node).collect())
        .collect())
}

/// A regular file that may be equal to another.
#[derive(Clone, Copy, Debug)]
struct File {
    length: u64,
    mode: u16,
    /// Files before it.
    rank: u32,
    node: NodeId,
}

/// A file and the hash of its content.
type Hashed = ([u8; blake3::OUT_LEN], File);

/// The files below `tops` that are not empty, in order, each once. Depth costs no stack.
fn files(tree: &Tree, tops: &[NodeId]) -> Vec<File> {
    let mut is_known = vec![false; tree.len()];
    let mut files = Vec::new();
    let mut todo: Vec<NodeId> = tops.iter().rev().copied().collect();
    while let Some(id) = todo.pop() {
        let node = tree.node(id);
        match &node.kind {
            Kind::File(source) if source.length > 0 => {
                if !std::mem::replace(&mut is_known[id.index()], true) {
                    files.push(File {
                        length: source.length,
                        mode: node.metadata.mode,
                        rank: u32::try_from(files.len()).expect("nodes have numbers of 32 bits"),
                        node: id,
                    });
                }
            }
            _ => {
                let below = todo.len();
                todo.extend(tree.entries(id).map(|(_, id)| id));
                todo[below..].reverse();
            }
        }
    }
    files
}

/// Those of `files` that share their length and mode with another, in the order in which they
/// are read: large ones before smaller ones, so that no thread begins with one when the others
/// are done, and many small ones as they lie.
fn alike(mut files: Vec<File>) -> Vec<File> {
    files.par_sort_unstable_by_key(|file| (file.length, file.mode));
    let mut alike: Vec<File> = files
        .chunk_by(|a, b| (a.length, a.mode) == (b.length, b.mode))
        .filter(|group| group.len() > 1)
        .flatten()
        .copied()
        .collect();
    alike.par_sort_unstable_by_key(|file| (Reverse(file.length / LARGE), file.rank));
    alike
}

/// Hashes each of `files` once, on all threads.
fn hash_all(tree: &Tree, files: &[File], stop: &AtomicBool) -> Result<Vec<Hashed>, ReadError> {
    let next = AtomicUsize::new(0);
    let of_threads = rayon::broadcast(|_| {
        let mut reader = Reader::default();
        let mut buffer = Vec::new();
        let mut hashed = Vec::new();
        let mut failed = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Kind::File(source) = &tree.node(file.node).kind else {
                unreachable!("only regular files were collected")
            };
            match hash(source, &mut reader, &mut buffer, stop) {
                Ok(hash) => hashed.push((hash, *file)),
                Err(error) => failed.push((file.rank, error)),
            }
        }
        (hashed, failed)
    });
    let (hashed, failed): (Vec<_>, Vec<_>) = of_threads.into_iter().unzip();
    let failed = failed.into_iter().flatten();
    match failed.min_by_key(|(rank, _)| *rank) {
        Some((_, error)) => Err(error),
        None => Ok(hashed.concat()),
    }
}

/// The hash of a content, or of a part of it once `stop` is set.
fn hash(
    source: &Source,
    reader: &mut Reader,
    buffer: &mut Vec<u8>,
    stop: &AtomicBool,
) -> Result<[u8; blake3::OUT_LEN], ReadError> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < source.length && !stop.load(Ordering::Relaxed) {
        let length = CHUNK.min(source.length - at);
        buffer.resize(usize::try_from(length).expect("a chunk is in memory"), 0);
        reader.read_at(source, at, buffer)?;
        hasher.update(buffer);
        at += length;
    }
    Ok(hasher.finalize().into())
}

#[cfg(test)]
mod tests;
