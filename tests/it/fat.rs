//! FAT filesystems: fsck.fat has nothing to say, mtools and GRUB read the tree.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use nix2image::fat::{FatError, FatType, Options, SectorSize, SizeError, lay_out};
use nix2image::image::Content;
use nix2image::source::Source;
use nix2image::tree::{Node, NodeId, Timestamp, Tree};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sha2::{Digest as _, Sha256};

use crate::support::command::run;
use crate::support::env;
use crate::support::fat::{
    FatImage, assert_files, by_grub, by_mtools, copy_by_mtools, expected, free_by_mtools,
    listed_by_mtools, options,
};
use crate::support::sample::{
    directory, empty, file, metadata, name, noise, put, symlink, tree_of,
};
use crate::support::temporary;

const TYPES: [FatType; 3] = [FatType::Fat12, FatType::Fat16, FatType::Fat32];
const SECTORS: [SectorSize; 2] = [SectorSize::Bytes512, SectorSize::Bytes4096];

/// Names of every shape, sizes around a cluster, and directories of several clusters.
fn everything() -> Tree {
    let mut tree = empty();
    let names = put(&mut tree, Tree::ROOT, "names", directory());
    let of_all_shapes = [
        "SHORT.TXT",
        "lower.txt",
        "BASE.ext",
        "small.EXT",
        "Mixed.Txt",
        "no-extension-and-longer",
        ".hidden",
        "two.dots.txt",
        "with space",
        "longfi~1.txt",
        "longfilename 1.txt",
        "longfilename 2.txt",
        "LONGFILE.TXT",
        "+,;=[]",
        "ümläut",
        "日本語",
        "thirteen char",
        "a",
    ];
    for at in of_all_shapes {
        put(&mut tree, names, at, file(at));
    }
    put(&mut tree, names, "n".repeat(255), file("long"));
    let sizes = put(&mut tree, Tree::ROOT, "sizes", directory());
    for size in [0, 1, 511, 512, 513, 2047, 2048, 2049, 32768, 200_001] {
        put(
            &mut tree,
            sizes,
            format!("{size}.bin"),
            file(noise(size, 1)),
        );
    }
    let many = put(&mut tree, Tree::ROOT, "many", directory());
    for number in 0..400 {
        put(
            &mut tree,
            many,
            format!("overlay-of-a-board-{number}.dtbo"),
            file("dtb"),
        );
    }
    let mut at = put(&mut tree, Tree::ROOT, "deep", directory());
    for depth in 0..12 {
        at = put(&mut tree, at, format!("level {depth}"), directory());
    }
    let linked = put(&mut tree, at, "bottom", file("linked"));
    tree.link(Tree::ROOT, name("top"), linked).unwrap();
    tree
}

#[test]
fn every_type_on_every_sector_size_is_read_as_the_tree() {
    let tree = everything();
    let expected = expected(&tree);
    for sector_size in SECTORS {
        for fat_type in TYPES {
            let options = Options {
                fat_type: Some(fat_type),
                sector_size,
                ..options()
            };
            let image = FatImage::of(&tree, &options);
            let reader = |who: &str| format!("{who}, {fat_type}, {sector_size:?}");
            assert_files(&by_mtools(&image.path()), &expected, &reader("mtools"));
            for (path, content) in &expected {
                let Some(content) = content else { continue };
                if !path.starts_with("/many/") || path.ends_with("9.dtbo") {
                    let found = by_grub(&image.path(), path);
                    assert!(found == *content, "{}", reader(&format!("GRUB, {path}")));
                }
            }
            let version = blkid(&image.path(), "VERSION");
            assert_eq!(version.to_lowercase(), fat_type.to_string());
        }
    }
}

/// What blkid says of the filesystem `image`.
fn blkid(image: &Path, tag: &str) -> String {
    let mut command = Command::new("blkid");
    command.args(["-p", "-s", tag, "-o", "value"]).arg(image);
    run(&mut command).trim().to_owned()
}

#[test]
fn the_type_of_a_size_is_that_of_mkfs_fat() {
    const MIB: u64 = 1 << 20;
    for size in [1, 7, 8, 9, 16, 64, 127, 128, 130, 300, 511, 512, 600] {
        let size = size * MIB;
        let ours = FatImage::of(
            &empty(),
            &Options {
                size: Some(size),
                ..options()
            },
        );
        let theirs = tempfile::NamedTempFile::new().unwrap();
        theirs.as_file().set_len(size).unwrap();
        run(Command::new("mkfs.fat").arg(theirs.path()));
        let kind = |path: &Path| blkid(path, "VERSION");
        assert_eq!(kind(&ours.path()), kind(theirs.path()), "{size} bytes");
        assert_eq!(ours.path().metadata().unwrap().len(), size);
    }
}

#[test]
fn label_id_times_and_partition_start_are_those_asked_for() {
    let tree = tree_of([
        ("FILE.TXT", file("x")),
        ("a long name", file("y")),
        ("dir", directory()),
    ]);
    for fat_type in TYPES {
        let options = Options {
            fat_type: Some(fat_type),
            hidden_sectors: 0x0012_3456,
            // 2024-02-29 12:34:56
            time: Timestamp::from_seconds(1_709_210_096),
            ..options()
        };
        let image = FatImage::of(&tree, &options);
        let tags = run(Command::new("blkid")
            .args(["-p", "-o", "export"])
            .arg(image.path()));
        for tag in [
            "UUID=2178-694E",
            "LABEL=NIX2IMAGE",
            "LABEL_FATBOOT=NIX2IMAGE",
        ] {
            assert!(tags.lines().any(|line| line == tag), "{tag} in {tags}");
        }
        assert_eq!(image.bytes()[28..32], 0x0012_3456_u32.to_le_bytes());
        let copy = temporary::directory();
        copy_by_mtools(&image.path(), copy.path());
        for at in ["FILE.TXT", "a long name", "dir"] {
            let found = copy.path().join(at).metadata().unwrap();
            assert_eq!(found.mtime(), 1_709_210_096, "{at}");
        }
        let bytes = image.bytes();
        // 12:34:56 is 0x645c, and 2024-02-29 0x585d. Of the last access FAT has the day.
        let times = [0, 0x5c, 0x64, 0x5d, 0x58, 0x5d, 0x58];
        let written = [0x5c, 0x64, 0x5d, 0x58];
        for entry in [
            "NIX2IMAGE  \x08",
            "FILE    TXT",
            "ALONGNAM   ",
            "DIR        ",
            ".          ",
            "..         ",
        ] {
            let entry = find(&bytes, entry.as_bytes());
            assert_eq!(entry[13..20], times, "creation and access");
            assert_eq!(entry[22..26], written, "change");
        }
    }
}

/// What follows the first `pattern`.
fn find<'a>(bytes: &'a [u8], pattern: &[u8]) -> &'a [u8] {
    let at = bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
        .unwrap();
    &bytes[at..]
}

#[test]
fn a_volume_without_a_label_has_no_entry_for_one() {
    let options = Options {
        label: nix2image::fat::Label::default(),
        ..options()
    };
    let image = FatImage::of(&tree_of([("a", file("x"))]), &options);
    let tags = run(Command::new("blkid")
        .args(["-p", "-o", "export"])
        .arg(image.path()));
    assert!(!tags.contains("LABEL"), "{tags}");
}

#[test]
fn the_copies_of_the_boot_sector_and_the_free_count_agree_with_the_first() {
    let options = Options {
        fat_type: Some(FatType::Fat32),
        hidden_sectors: 2048,
        ..options()
    };
    let bytes = FatImage::of(&everything(), &options).bytes();
    let sector = |number: usize| &bytes[number * 512..(number + 1) * 512];
    assert_eq!(sector(0), sector(6));
    assert_eq!(sector(1), sector(7));
    assert_eq!(&sector(1)[..4], b"RRaA");
}

#[test]
fn a_fitted_filesystem_is_the_least_that_does() {
    let mut tree = everything();
    put(&mut tree, Tree::ROOT, "large", file(noise(40_000_000, 2)));
    for (fat_type, free_bytes) in [
        (None, 0),
        (Some(FatType::Fat16), 0),
        (Some(FatType::Fat32), 0),
        (Some(FatType::Fat32), 100 << 20),
    ] {
        let fitted = Options {
            fat_type,
            free_bytes,
            ..options()
        };
        let size = lay_out(&tree, &fitted).unwrap().size();
        // The clusters that were chosen, so that a size alone cannot choose others.
        let bytes = FatImage::of(&tree, &fitted).bytes();
        let cluster = u64::from(bytes[13]) * 512;
        let sized = |size| Options {
            size: Some(size),
            cluster_size: Some(cluster.try_into().unwrap()),
            ..fitted.clone()
        };
        assert_eq!(FatImage::of(&tree, &sized(size)).bytes().len() as u64, size);
        match lay_out(&tree, &sized(size - 512)) {
            Err(FatError::Size(SizeError::TooSmall { needed, .. })) => assert_eq!(needed, size),
            Err(FatError::Size(SizeError::Type { min, .. })) => assert_eq!(min, size),
            other => panic!("{fat_type:?}: {other:?}"),
        }
    }
}

#[test]
fn what_shall_be_free_is_free() {
    let free = 10_000_000;
    let options = Options {
        free_bytes: free,
        ..options()
    };
    let image = FatImage::of(&everything(), &options);
    let found = free_by_mtools(&image.path());
    assert!((free..free + 2048).contains(&found), "{found}");
}

#[test]
fn the_least_that_an_error_names_does() {
    let mut tree = everything();
    put(&mut tree, Tree::ROOT, "large", file(noise(3_000_000, 2)));
    for size in [600 << 10, 1 << 20, 2 << 20, 3 << 20] {
        let options = |size| Options {
            size: Some(size),
            ..options()
        };
        let needed = match lay_out(&tree, &options(size)) {
            Err(FatError::Size(SizeError::TooSmall { needed, .. })) => needed,
            other => panic!("{size}: {other:?}"),
        };
        assert!(needed > size);
        FatImage::of(&tree, &options(needed));
        assert!(lay_out(&tree, &options(needed - 512)).is_err());
    }
}

#[test]
fn free_space_is_a_hole_and_content_is_read_from_its_source() {
    let tree = tree_of([("content", file(noise(100_000, 1)))]);
    let options = Options {
        size: Some(512 << 20),
        ..options()
    };
    let pieces = lay_out(&tree, &options).unwrap();
    assert_eq!(pieces.size(), 512 << 20);
    let of_file = |content: &Content| matches!(content, Content::Source { source, .. } if source.length == 100_000);
    let placed: Vec<u64> = pieces
        .as_slice()
        .iter()
        .filter(|piece| of_file(&piece.content))
        .map(|piece| piece.length)
        .collect();
    assert_eq!(
        placed,
        [100_000_u64.next_multiple_of(4096)],
        "in one piece, up to its cluster's end"
    );
    // Two tables, and little else.
    assert!(pieces.covered() < 2 << 20, "{}", pieces.covered());
}

#[test]
fn a_late_source_has_its_place_and_a_mark_is_left_to_others() {
    let (mut source, late) = Source::late(5);
    source.mark = Some(nix2image::source::Mark::new(0, 0));
    let tree = tree_of([("late", Node::file(metadata(0o644), source))]);
    let pieces = lay_out(&tree, &options()).unwrap();
    late.set(b"later".to_vec());
    let found = pieces
        .as_slice()
        .iter()
        .find_map(|piece| match &piece.content {
            Content::Source { source, .. } if source.is_late() => Some(source),
            _ => None,
        });
    assert_eq!(found.unwrap().mark, None);
}

/// mtools, which has no such names, puts underscores.
#[test]
fn a_name_beyond_16_bits_is_two_units() {
    let image = FatImage::of(&tree_of([("🦀 crab", file("x"))]), &options());
    assert_eq!(by_grub(&image.path(), "/🦀 crab"), b"x");
}

/// SHA-256 of the filesystem, in hex.
fn digest(tree: &Tree, options: &Options) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(FatImage::of(tree, options).bytes()))
}

#[test]
fn the_same_tree_is_the_same_bytes_in_any_order_of_insertion() {
    let names = [
        "b.txt",
        "B long",
        "a",
        "c/",
        "C~1",
        "abcdefghi",
        "abcdefghj",
    ];
    let tree = |order: &mut dyn Iterator<Item = &&str>| {
        let mut tree = empty();
        for at in order {
            match at.strip_suffix('/') {
                Some(at) => put(&mut tree, Tree::ROOT, at, directory()),
                None => put(&mut tree, Tree::ROOT, at, file(at)),
            };
        }
        tree
    };
    let forwards = digest(&tree(&mut names.iter()), &options());
    assert_eq!(forwards, digest(&tree(&mut names.iter().rev()), &options()));
}

#[test]
fn filesystems_have_the_bytes_that_they_had() {
    let found = TYPES.map(|fat_type| {
        digest(
            &everything(),
            &Options {
                fat_type: Some(fat_type),
                ..options()
            },
        )
    });
    let pinned = [
        "1d8d04e73f3f1099a3252ca8d1f6afff39a5edee531815f9ab829b01b0560795",
        "33fc5416217ea3c973389d89799b4550b71e626f7d40d5651ab73fbfaaf97d56",
        "bbd75e75a4f68078b20a32d37822908219768ef52350c69a1f51cf8c38150fbd",
    ];
    assert_eq!(found, pinned, "if that is meant, pin what is on the left");
}

#[test]
fn a_short_name_stands_alone_and_is_never_taken_by_a_longer_one() {
    // In byte order the longer name comes first, and is shortened to the other.
    let tree = tree_of([
        ("AAAAAAAAA.TXT", file("long")),
        ("aaaaaaaa.txt", file("short")),
    ]);
    let image = FatImage::of(&tree, &options());
    assert_eq!(
        listed_by_mtools(&image.path()),
        ["/AAAAAAAAA.TXT", "/aaaaaaaa.txt"]
    );
    let bytes = image.bytes();
    let entry = find(&bytes, b"AAAAAAAATXT");
    assert_eq!(entry[12], 0x18, "both parts in lower case");
    // The one before it is the label, not a part of a long name.
    let at = bytes.len() - entry.len();
    assert_eq!(bytes[at - 32 + 11], 0x08);
}

#[test]
fn what_fat_cannot_hold_is_refused_by_name() {
    let nothing = |_: &mut Tree, _: NodeId| ();
    let refused = |at: &[u8], node: Node, more: &dyn Fn(&mut Tree, NodeId)| {
        let mut tree = empty();
        let dir = put(&mut tree, Tree::ROOT, "dir", directory());
        put(&mut tree, dir, at, node);
        more(&mut tree, dir);
        lay_out(&tree, &options()).unwrap_err().to_string()
    };
    let says = |found: String, wanted: &str| {
        assert_eq!(found, format!("a FAT filesystem cannot hold /dir/{wanted}"));
    };
    says(
        refused(b"link", symlink("x"), &nothing),
        "link: it is a symlink; leave it out, or put what it stands for in its place",
    );
    says(
        refused(b"a:b", file(""), &nothing),
        "a:b: its name has the character ':'; a name has no control characters and none of \"*/:<>?\\|",
    );
    says(
        refused(b"a\n", file(""), &nothing),
        "a\\n: its name has the character '\\n'; a name has no control characters and none of \"*/:<>?\\|",
    );
    says(
        refused(b"dot.", file(""), &nothing),
        "dot.: its name ends with a dot, which readers cut off; give it another",
    );
    says(
        refused(b"space ", directory(), &nothing),
        "space : its name ends with a space, which readers cut off; give it another",
    );
    says(
        refused(b"\xff", file(""), &nothing),
        "\u{fffd}: its name is not UTF-8; give it another",
    );
    says(
        refused("Ä".as_bytes(), file(""), &|tree, dir| {
            put(tree, dir, "ä", file(""));
        }),
        "ä: its name differs from \"Ä\" beside it only in case, which FAT does not tell apart; rename one of them",
    );
    let (large, _) = Source::late(1 << 32);
    says(
        refused(b"large", Node::file(metadata(0), large), &nothing),
        "large: it has 4294967296 bytes; a file has at most 4294967295",
    );
}

#[test]
fn a_size_a_type_or_clusters_that_cannot_be_are_refused() {
    let said = |change: &dyn Fn(&mut Options)| {
        let mut options = options();
        change(&mut options);
        let tree = tree_of((0..600).map(|number| (format!("{number}"), file(""))));
        lay_out(&tree, &options).unwrap_err().to_string()
    };
    assert_eq!(
        said(&|o| o.size = Some(1_000_000)),
        "a FAT filesystem of 1000000 bytes is no whole number of sectors of 512 bytes"
    );
    assert_eq!(
        said(&|o| {
            o.sector_size = SectorSize::Bytes4096;
            o.cluster_size = Some(512.try_into().unwrap());
        }),
        "clusters of 512 bytes are smaller than the disk's sectors of 4096; a cluster has at least one"
    );
    assert_eq!(
        said(&|o| {
            o.fat_type = Some(FatType::Fat32);
            o.size = Some(16 << 20);
        }),
        "a fat32 filesystem cannot have 16777216 bytes; with these sectors and clusters it has 34106880 to 2199023255040; choose another size or type"
    );
    assert_eq!(
        said(&|o| o.fat_type = Some(FatType::Fat16)),
        "the root directory takes 601 entries, and a fat16 filesystem has 512 there; put files into a directory, or choose fat32"
    );
    assert!(
        said(&|o| {
            o.fat_type = Some(FatType::Fat12);
            o.size = Some(100 << 20);
        })
        .starts_with("a fat12 filesystem cannot have 104857600 bytes")
    );
    assert_eq!(
        said(&|o| o.time = Timestamp::from_seconds(1)),
        "a FAT filesystem cannot hold the time 1; it holds 315532800 (1980-01-01) to 4354819199 (2107-12-31) seconds from 1970"
    );
}

/// Names that FAT has, of all shapes, short prefixes so that they meet.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,9}(\\.[a-c]{1,4})?",
        "[A-C]{1,9}(\\.[A-C]{1,4})?",
        "[a-cA-C~1 .]{0,12}[a-c1]",
        "[ä日a]{1,30}",
        "[a-z]{100,200}",
    ]
}

/// Directories in directories: paths and sizes.
fn trees() -> impl Strategy<Value = Tree> {
    let path = prop::collection::vec(names(), 1..4);
    prop::collection::vec((path, 0..40_000_usize), 0..60).prop_map(|files| {
        let mut tree = empty();
        // Upper case, and the name and node that stand there.
        let mut known: BTreeMap<(NodeId, String), NodeId> = BTreeMap::new();
        for (path, size) in files {
            let (last, parents) = path.split_last().unwrap();
            let mut at = Tree::ROOT;
            for parent in parents {
                at = *known
                    .entry((at, parent.to_uppercase()))
                    .or_insert_with(|| put(&mut tree, at, parent, directory()));
                if !tree.node(at).is_directory() {
                    return tree;
                }
            }
            let size = if size % 3 == 0 { size } else { size % 700 };
            known
                .entry((at, last.to_uppercase()))
                .or_insert_with(|| put(&mut tree, at, last, file(noise(size, 9))));
        }
        tree
    })
}

#[test]
fn a_random_tree_is_read_back_as_it_was() {
    let config = |cases| Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut runner = if env::is_full() {
        TestRunner::new(config(500))
    } else {
        TestRunner::new_with_rng(config(24), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    };
    let shapes = (
        prop::option::of(prop::sample::select(&TYPES[..])),
        prop::sample::select(&SECTORS[..]),
    );
    let result = runner.run(&(trees(), shapes), |(tree, (fat_type, sector_size))| {
        let options = Options {
            fat_type,
            sector_size,
            ..options()
        };
        let image = match FatImage::try_of(&tree, &options) {
            Err(FatError::Size(SizeError::RootEntries { .. })) => return Ok(()),
            image => image.unwrap(),
        };
        let expected = expected(&tree);
        assert_files(&by_mtools(&image.path()), &expected, "mtools");
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
