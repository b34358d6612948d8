//! Finding the zeros in large files, so that a filesystem can leave holes for them.
//!
//! A hole is found by content. Asking the host for holes would make the image depend on
//! how a store path came to be: built, it may have holes that an import filled.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::source::{ReadError, Reader, Source};
use crate::tree::{Kind, Node, Tree};

/// Files of fewer bytes are not looked at: they would cost more than they save.
const LEAST_LENGTH: u64 = 1 << 20;

/// Bytes that are read at once.
const CHUNK: u64 = 1 << 20;

/// Reads every large file of `tree` and notes where it is not zero. Of several errors,
/// the first in the order of nodes is reported. Once `stop` is set, no more is read, and what is
/// noted says nothing.
pub fn find_data(tree: &mut Tree, stop: &AtomicBool) -> Result<(), ReadError> {
    let results: Vec<_> = tree
        .nodes_mut()
        .par_iter_mut()
        .filter_map(large_file)
        .map(|source| {
            source.data = Some(data(source, stop)?.into());
            Ok(())
        })
        .collect();
    results.into_iter().collect()
}

fn large_file(node: &mut Node) -> Option<&mut Source> {
    match &mut node.kind {
        // What is late cannot be read yet.
        Kind::File(source) if source.length >= LEAST_LENGTH && !source.is_late() => Some(source),
        _ => None,
    }
}

/// The ranges of `source` that are not zero.
fn data(source: &Source, stop: &AtomicBool) -> Result<Vec<Range<u64>>, ReadError> {
    let starts: Vec<u64> = (0..source.length.div_ceil(CHUNK))
        .map(|chunk| chunk * CHUNK)
        .collect();
    let chunks: Vec<_> = starts
        .into_par_iter()
        .map_init(<(Reader, Vec<u8>)>::default, |(reader, buffer), start| {
            if stop.load(Ordering::Relaxed) {
                return Ok(Vec::new());
            }
            let length = CHUNK.min(source.length - start);
            buffer.resize(usize::try_from(length).expect("a chunk is in memory"), 0);
            reader.read_at(source, start, buffer)?;
            Ok::<_, ReadError>(nonzero_grains(start, buffer))
        })
        .collect();
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for chunk in chunks {
        for range in chunk? {
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
    }
    Ok(ranges)
}

/// The grains of `bytes`, which stand at `start`, that are not zero.
fn nonzero_grains(start: u64, bytes: &[u8]) -> Vec<Range<u64>> {
    let grain = usize::try_from(Source::GRAIN).expect("a grain is a block");
    let starts = (start..).step_by(grain);
    bytes
        .chunks(grain)
        .zip(starts)
        .filter(|(bytes, _)| bytes.iter().any(|byte| *byte != 0))
        .map(|(bytes, start)| start..start + bytes.len() as u64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Metadata, Timestamp};

    fn file(bytes: Vec<u8>) -> Tree {
        let metadata = Metadata::of_root(0o444, Timestamp::from_seconds(1));
        Tree::new(Node::file(metadata, Source::bytes(bytes)))
    }

    fn found(bytes: Vec<u8>) -> Option<Vec<Range<u64>>> {
        let mut tree = file(bytes);
        find_data(&mut tree, &AtomicBool::new(false)).unwrap();
        match &tree.node(Tree::ROOT).kind {
            Kind::File(source) => source.data.as_ref().map(|data| data.to_vec()),
            _ => unreachable!("it is a file"),
        }
    }

    #[test]
    fn ranges_are_whole_grains_and_go_on_over_chunks() {
        let mut bytes = vec![0; (3 << 20) + 5];
        bytes[4095] = 1;
        bytes[(1 << 20) - 1] = 1;
        bytes[1 << 20] = 1;
        *bytes.last_mut().unwrap() = 1;
        let last = 3 << 20;
        let around = (1 << 20) - 4096..(1 << 20) + 4096;
        assert_eq!(found(bytes), Some(vec![0..4096, around, last..last + 5]));
    }

    #[test]
    fn what_comes_late_is_left_alone() {
        let metadata = Metadata::of_root(0o444, Timestamp::from_seconds(1));
        let (source, _late) = Source::late(LEAST_LENGTH);
        let mut tree = Tree::new(Node::file(metadata, source));
        find_data(&mut tree, &AtomicBool::new(false)).unwrap();
        assert!(matches!(
            &tree.node(Tree::ROOT).kind,
            Kind::File(source) if source.data.is_none()
        ));
    }

    #[test]
    fn a_file_of_zeros_has_no_data_and_a_small_one_is_not_read() {
        assert_eq!(found(vec![0; 1 << 20]), Some(vec![]));
        assert_eq!(found(vec![0; (1 << 20) - 1]), None);
    }
}
