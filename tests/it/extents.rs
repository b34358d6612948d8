//! Trees of extents of every depth, and the holes that make them.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix2image::ext4::Options;
use nix2image::source::{HostDirectory, HostFile, Origin, Source};
use nix2image::sparse;
use nix2image::tree::{Kind, Node, Tree};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::support::command::run;
use crate::support::env;
use crate::support::facts::{Facts, assert_same, expected};
use crate::support::image::Image;
use crate::support::mount::Mounted;
use crate::support::profiles::profiles;
use crate::support::readers::{directory as seen, ext4_view, visible_to_ext4_view};
use crate::support::sample::{
    empty, everything, file, metadata, name, noise, put, roomy, tight, tree_of,
};
use crate::support::temporary;

const BLOCK: u64 = 4096;

/// A file of `extents` blocks of noise with a hole behind each.
fn alternating(extents: usize) -> Node {
    let block = usize::try_from(BLOCK).unwrap();
    let mut bytes = vec![0; 2 * block * extents];
    for (number, pair) in bytes.chunks_mut(2 * block).enumerate() {
        pair[..block].copy_from_slice(&noise(block, number as u64));
    }
    let source = Source {
        data: Some(alternate_blocks(extents)),
        ..Source::bytes(bytes)
    };
    Node::file(metadata(0o644), source)
}

/// So many blocks, each with a hole behind it.
fn alternate_blocks(count: usize) -> Arc<Vec<Range<u64>>> {
    let ranges = (0..count as u64).map(|number| 2 * number * BLOCK..(2 * number + 1) * BLOCK);
    Arc::new(ranges.collect())
}

/// An extent as debugfs prints it: level, depth, first and last block in the file.
type Line = (u64, u64, u64, u64);

/// What `debugfs` says of the extents of `path`, index nodes too.
fn extents(image: &Path, path: &str) -> Vec<Line> {
    let report = run(Command::new("debugfs")
        .args(["-R", &format!("ex \"{path}\"")])
        .arg(image));
    let mut lines = Vec::new();
    for line in report.lines().skip(1) {
        let numbers: Vec<u64> = line
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        match numbers[..] {
            [level, depth, _, _, first, last, ..] => lines.push((level, depth, first, last)),
            _ => panic!("{line:?}"),
        }
    }
    lines
}

/// The data of an open file, as its filesystem tells it.
fn data(file: &File) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        match seek(file, SeekFrom::Data(at)) {
            Ok(start) => {
                at = seek(file, SeekFrom::Hole(start)).unwrap();
                found.push(start..at);
            }
            Err(Errno::NXIO) => return found,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Blocks of the nodes of a tree of so many extents, by hand.
fn nodes(extents: u64) -> u64 {
    let mut nodes = 0;
    let mut level = extents;
    while level > 4 {
        level = level.div_ceil(340);
        nodes += level;
    }
    nodes
}

/// Fails unless the kernel and debugfs see the files of so many extents, named after
/// their number, as they are.
#[track_caller]
fn trees_are_read(image: &Image, expected: &Facts, counts: &[usize], depths: &[u64]) {
    {
        let mounted = Mounted::read_only(&image.path());
        assert_same(&seen(mounted.root()), expected, "the kernel");
        for count in counts {
            let file = File::open(mounted.root().join(format!("{count}"))).unwrap();
            assert!(*data(&file) == *alternate_blocks(*count), "{count}");
            let count = *count as u64;
            let blocks = file.metadata().unwrap().blocks();
            assert_eq!(blocks * 512, (count + nodes(count)) * BLOCK, "{count}");
        }
    }
    for (count, depth) in counts.iter().zip(depths) {
        let found = extents(&image.path(), &format!("/{count}"));
        let leaves: Vec<_> = found
            .iter()
            .filter(|(level, of, ..)| level == of)
            .copied()
            .collect();
        let expected: Vec<Line> = (0..*count as u64)
            .map(|number| (*depth, *depth, 2 * number, 2 * number))
            .collect();
        assert_eq!(leaves, expected, "{count}");
        let inner = (found.len() - leaves.len()) as u64;
        assert_eq!(inner, nodes(*count as u64), "{count}");
    }
}

#[test]
fn extent_trees_of_depth_0_to_2_around_their_boundaries() {
    let counts = [
        1, 4, 5, 339, 340, 341, 680, 681, 1360, 1361, 1700, 1701, 3400,
    ];
    let depths = [0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2];
    let tree = tree_of(counts.map(|count| (format!("{count}"), alternating(count))));
    let expected = expected(&tree);
    for (_, features) in profiles() {
        let options = Options {
            features,
            ..tight()
        };
        let image = Image::of(tree.clone(), &options);
        trees_are_read(&image, &expected, &counts, &depths);
        let visible = visible_to_ext4_view(expected.clone());
        assert_same(&ext4_view(&image.path()), &visible, "ext4-view");
    }
}

/// The smallest such file has 462,401 blocks of data, 1.9 GB.
#[test]
fn extent_trees_of_depth_3() {
    const EXTENTS: usize = 4 * 340 * 340 + 1;
    if !env::is_full() {
        return;
    }
    // A host file of few blocks, some of which are taken for data though they are zero.
    let host = temporary::directory();
    let file = File::create_new(host.path().join("host")).unwrap();
    let length = 2 * BLOCK * EXTENTS as u64;
    file.set_len(length).unwrap();
    for number in (0..EXTENTS as u64).step_by(97) {
        file.write_all_at(&(number + 1).to_le_bytes(), 2 * number * BLOCK)
            .unwrap();
    }
    let origin = Origin::HostFile(HostFile {
        directory: Arc::new(HostDirectory::new(host.path())),
        name: name("host"),
    });
    let source = Source {
        data: Some(alternate_blocks(EXTENTS)),
        ..Source::new(length, origin)
    };
    let node = Node::file(metadata(0o644), source);
    let tree = tree_of([(EXTENTS.to_string(), node)]);
    let expected = expected(&tree);
    let image = Image::of(tree, &tight());
    trees_are_read(&image, &expected, &[EXTENTS], &[3]);
}

/// A name, content, and the ranges of blocks that are not zero.
type SparseFile = (&'static str, Vec<u8>, Vec<Range<u64>>);

/// Files of zeros here and there.
fn sparse_files() -> [SparseFile; 7] {
    const MIB: usize = 1 << 20;
    let with_noise = |length: usize, ranges: &[Range<u64>]| {
        let mut bytes = vec![0; length];
        for range in ranges {
            let start = usize::try_from(range.start * BLOCK).unwrap();
            let end = length.min(usize::try_from(range.end * BLOCK).unwrap());
            bytes[start..end].copy_from_slice(&noise(end - start, 7));
        }
        bytes
    };
    [
        ("all zeros", MIB, &[][..]),
        ("all zeros and a bit", 3 * MIB + 1, &[]),
        ("a hole first", 2 * MIB, &[(300, 512)]),
        ("a hole last", 2 * MIB + 5, &[(0, 100)]),
        ("the last byte", 4 * MIB + 1, &[(1024, 1025)]),
        (
            "around chunks",
            4 * MIB,
            &[(255, 257), (511, 512), (513, 769)],
        ),
        ("no hole", 2 * MIB, &[(0, 512)]),
    ]
    .map(|(called, length, ranges)| {
        let ranges: Vec<_> = ranges.iter().map(|(start, end)| *start..*end).collect();
        (called, with_noise(length, &ranges), ranges)
    })
}

#[test]
fn zeros_of_large_files_become_holes() {
    let mut tree = tree_of(
        sparse_files()
            .into_iter()
            .map(|(called, bytes, _)| (called, file(bytes))),
    );
    put(&mut tree, Tree::ROOT, "small", file(vec![0; (1 << 20) - 1]));
    let expected = expected(&tree);
    sparse::find_data(&mut tree, &AtomicBool::new(false)).unwrap();
    for (called, features) in profiles() {
        let options = Options {
            features,
            ..roomy()
        };
        let image = Image::of(tree.clone(), &options);
        let mounted = Mounted::read_only(&image.path());
        assert_same(&seen(mounted.root()), &expected, &called);
        for (called, _, ranges) in sparse_files() {
            let file = File::open(mounted.root().join(called)).unwrap();
            let metadata = file.metadata().unwrap();
            let bytes: Vec<_> = ranges
                .iter()
                .map(|range| range.start * BLOCK..metadata.len().min(range.end * BLOCK))
                .collect();
            assert_eq!(data(&file), bytes, "{called}");
            let blocks: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            assert_eq!(metadata.blocks() * 512, blocks * BLOCK, "{called}");
        }
        let small = std::fs::metadata(mounted.root().join("small")).unwrap();
        assert_eq!(small.blocks() * 512, 1 << 20, "it is left alone");
    }
}

/// Host files of the same bytes, with holes where they are zero or without.
fn hosted(directory: &Path, with_holes: bool) -> Tree {
    let mut tree = everything();
    for (called, bytes, ranges) in sparse_files() {
        let host = File::create_new(directory.join(called)).unwrap();
        if with_holes {
            host.set_len(bytes.len() as u64).unwrap();
            for range in ranges {
                let start = usize::try_from(range.start * BLOCK).unwrap();
                let end = bytes.len().min(usize::try_from(range.end * BLOCK).unwrap());
                host.write_all_at(&bytes[start..end], start as u64).unwrap();
            }
        } else {
            host.write_all_at(&bytes, 0).unwrap();
        }
        let is_full = host.metadata().unwrap().blocks() * 512 >= bytes.len() as u64;
        assert_eq!(is_full, !with_holes || called == "no hole", "{called}");
        let origin = Origin::HostFile(HostFile {
            directory: Arc::new(HostDirectory::new(directory)),
            name: name(called),
        });
        let node = Node::file(metadata(0o644), Source::new(bytes.len() as u64, origin));
        put(&mut tree, Tree::ROOT, called, node);
    }
    tree
}

#[test]
fn holes_of_the_host_or_their_absence_do_not_show() {
    for is_sparse in [false, true] {
        let [with, without] = [true, false].map(|with_holes| {
            let host = temporary::directory();
            let mut tree = hosted(host.path(), with_holes);
            if is_sparse {
                sparse::find_data(&mut tree, &AtomicBool::new(false)).unwrap();
            }
            Image::of(tree, &roomy()).digest()
        });
        assert_eq!(with, without);
    }
}

/// By default, zeros of a file are blocks of the image like all others.
#[test]
fn zeros_are_blocks_unless_holes_are_asked_for() {
    let mut tree = empty();
    let id = put(&mut tree, Tree::ROOT, "zeros", file(vec![0; 20 << 20]));
    let full = Image::of(tree.clone(), &tight());
    {
        let mounted = Mounted::read_only(&full.path());
        let file = File::open(mounted.root().join("zeros")).unwrap();
        assert_eq!(data(&file).first(), Some(&(0..20 << 20)));
    }
    sparse::find_data(&mut tree, &AtomicBool::new(false)).unwrap();
    let Kind::File(source) = &tree.node(id).kind else {
        panic!("it is a file");
    };
    assert_eq!(source.data.as_deref(), Some(&Vec::new()));
    let sparse = Image::of(tree, &tight());
    assert_eq!(full.size() - sparse.size(), 20 << 20);
}
