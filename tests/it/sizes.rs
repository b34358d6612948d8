//! What the choices of size do: explicit sizes, reserves, inodes, journal, growth.

use nix2image::ext4::{
    Features, GrowTo, InodeRatio, JournalSize, LayoutError, Options, ReservedPercent, SizeError,
    lay_out,
};
use nix2image::source::{Container, Origin, Source};
use nix2image::tree::{Node, Tree};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::env;
use crate::support::image::{Image, number};
use crate::support::profiles::{feature_sets, features, profiles};
use crate::support::recipe::recipes;
use crate::support::sample::{empty, everything, metadata, roomy, tight, tree_of};

const BLOCK: u64 = 4096;
const GROUP: u64 = 32_768;

/// Bytes of the image of `tree`.
#[track_caller]
fn size(tree: Tree, options: &Options) -> u64 {
    match lay_out(tree, options) {
        Ok(pieces) => pieces.size(),
        Err(error) => panic!("no layout: {error}"),
    }
}

fn with_size(options: &Options, size: u64) -> Options {
    Options {
        size: Some(size),
        ..options.clone()
    }
}

/// The least size that would do, of which the error tells who asks for `size` bytes.
#[track_caller]
fn least_told(tree: Tree, options: &Options, size: u64) -> u64 {
    match lay_out(tree, &with_size(options, size)) {
        Err(LayoutError::Size(SizeError::TooSmall { size: told, least })) => {
            assert_eq!(told, size);
            least
        }
        Err(error) => panic!("{error}"),
        Ok(pieces) => panic!("{} bytes are enough", pieces.size()),
    }
}

#[test]
fn an_image_has_the_size_that_was_asked_for_to_the_byte() {
    let least = size(everything(), &tight());
    for more in [0, 1, 4095, 4096, 4097, 1 << 20, (10 << 20) + 511] {
        let image = Image::of(everything(), &with_size(&tight(), least + more));
        assert_eq!(image.size(), least + more);
        let superblock = image.superblock();
        assert_eq!(number(&superblock, "Block count"), (least + more) / BLOCK);
        assert_eq!(number(&superblock, "Free blocks"), more / BLOCK);
    }
}

/// The bitmaps, the inode table of 512 blocks and 50 blocks more must fit into a last
/// group, and its copy of the superblock with all that belongs to it.
#[test]
fn a_last_group_that_would_be_too_small_is_left_off() {
    const COPY: u64 = 513;
    for (group, least) in [(1, 564 + COPY), (2, 564), (3, 564 + COPY), (8, 564)] {
        let whole = group * GROUP;
        for (more, blocks) in [
            (0, whole),
            (1, whole),
            (least - 1, whole),
            (least, whole + least),
            (least + 1, whole + least + 1),
            (GROUP - 1, whole + GROUP - 1),
        ] {
            let options = with_size(&tight(), (whole + more) * BLOCK + 17);
            let image = Image::of(everything(), &options);
            assert_eq!(image.size(), (whole + more) * BLOCK + 17);
            let found = number(&image.superblock(), "Block count");
            assert_eq!(found, blocks, "{group} groups and {more} blocks");
        }
    }
}

#[test]
fn a_size_that_is_too_small_is_refused_with_the_least_that_is_not() {
    for (called, features) in feature_sets() {
        for options in [tight(), roomy()] {
            let options = Options {
                features: features.clone(),
                ..options
            };
            let least = size(everything(), &options);
            for size in [0, 1, 4095, 4096, 1 << 20, least - BLOCK, least - 1] {
                let told = least_told(everything(), &options, size);
                assert_eq!(told, least, "{called}: {size} bytes");
            }
            let image = Image::of(everything(), &with_size(&options, least));
            assert_eq!(image.size(), least, "{called}");
        }
    }
}

/// Where the image becomes so large that mke2fs would give it a larger journal, a
/// smaller one may do where a larger one does not.
#[test]
fn the_least_size_holds_the_journal_that_goes_with_it() {
    for blocks in [262_144, 524_288] {
        let with_free = |free: u64| Options {
            free_bytes: free * BLOCK,
            ..tight()
        };
        let size_of = |free| size(empty(), &with_free(free)) / BLOCK;
        let mut free = blocks - size_of(0);
        while size_of(free) < blocks - 1 {
            free += blocks - 1 - size_of(free);
        }
        while size_of(free) >= blocks {
            free -= 1;
        }
        assert_eq!(size_of(free), blocks - 1);
        let after = size_of(free + 1);
        assert!(after > blocks, "{after}");
        let told = least_told(empty(), &with_free(free + 1), (blocks - 1) * BLOCK);
        assert_eq!(told, after * BLOCK);
        // Sizes that take the larger journal are told the least from there on.
        let size = (blocks + 1500) * BLOCK;
        assert!(least_told(empty(), &with_free(free), size) > size);
        for size in [blocks - 1, after] {
            let free = if size < blocks { free } else { free + 1 };
            let image = Image::of(empty(), &with_size(&with_free(free), size * BLOCK));
            assert!(number(&image.superblock(), "Free blocks") >= free);
        }
    }
}

#[test]
fn no_random_tree_fits_into_a_block_less() {
    let config = |cases| Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut runner = if env::is_full() {
        TestRunner::new(config(5000))
    } else {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config(200), rng)
    };
    let sets: Vec<Features> = feature_sets().into_iter().map(|(_, set)| set).collect();
    let cases = (recipes(), prop::sample::select(sets));
    let result = runner.run(&cases, |(recipe, features)| {
        let options = Options {
            features,
            ..tight()
        };
        let least = size(recipe.tree(), &options);
        let told = least_told(recipe.tree(), &options, least - BLOCK);
        prop_assert_eq!(told, least);
        prop_assert_eq!(size(recipe.tree(), &with_size(&options, least)), least);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn so_many_blocks_are_reserved_for_root() {
    for percent in [0, 1, 5, 50] {
        let options = Options {
            reserved_percent: ReservedPercent::try_from(percent).unwrap(),
            ..roomy()
        };
        let superblock = Image::of(everything(), &options).superblock();
        let blocks = number(&superblock, "Block count");
        let reserved = number(&superblock, "Reserved block count");
        assert_eq!(reserved, blocks * percent / 100, "{percent} %");
    }
}

#[test]
fn so_many_inodes_are_left_free() {
    for free_inodes in [0, 1, 1024, 7000, 8192, 100_000, 1_000_000] {
        for (called, features) in profiles() {
            let options = Options {
                free_inodes,
                features,
                ..tight()
            };
            let superblock = Image::of(everything(), &options).superblock();
            let free = number(&superblock, "Free inodes");
            assert!(
                free >= free_inodes.into(),
                "{called}: {free}, not {free_inodes}"
            );
        }
    }
}

#[test]
fn a_journal_has_the_size_that_was_asked_for() {
    for blocks in [1024, 1025, 4096, 32_767, 32_768, 32_769, 80_000] {
        for (called, features) in profiles() {
            let options = Options {
                journal_size: Some(JournalSize::try_from(blocks * BLOCK).unwrap()),
                features,
                ..tight()
            };
            let superblock = Image::of(everything(), &options).superblock();
            let found = number(&superblock, "Total journal blocks");
            assert_eq!(found, blocks, "{called}");
        }
    }
}

#[test]
fn there_is_an_inode_for_so_many_bytes_or_more() {
    for (ratio, free_bytes, expected) in [
        (4096, 0, 32_768),
        (4097, 0, 32_768),
        (8192, 1 << 30, 16_384),
        (16_384, 1 << 30, 8192),
        (1 << 20, 5 << 30, 128),
        (64 << 20, 40 << 30, 16),
    ] {
        let options = Options {
            inode_ratio: InodeRatio::try_from(ratio).unwrap(),
            free_bytes,
            ..tight()
        };
        let superblock = Image::of(empty(), &options).superblock();
        let found = number(&superblock, "Inodes per group");
        assert_eq!(found, expected, "{ratio}");
        let image = Image::of(everything(), &options);
        assert!(number(&image.superblock(), "Inodes per group") >= expected);
    }
}

#[test]
fn descriptors_are_reserved_for_the_disk_to_grow_to() {
    const TIB: u64 = 1 << 40;
    for (grow_to, long, short) in [
        (0, 0, 0),
        (1 << 20, 0, 0),
        (8 << 30, 0, 0),
        ((8 << 30) + 1, 1, 0),
        (TIB, 127, 63),
        (4 * TIB, 511, 255),
        (16 * TIB - 1, 1024, 1023),
    ] {
        for (called, features) in profiles() {
            let descriptors = if features.to_string().contains("64bit") {
                long
            } else {
                short
            };
            let options = Options {
                grow_to: GrowTo::try_from(grow_to).unwrap(),
                features,
                ..roomy()
            };
            let superblock = Image::of(everything(), &options).superblock();
            let found = superblock
                .get("Reserved GDT blocks")
                .map_or(0, |found| found.parse().unwrap());
            assert_eq!(found, descriptors, "{called}, to {grow_to}");
            let has_resize_inode = superblock["Filesystem features"].contains("resize_inode");
            assert_eq!(has_resize_inode, descriptors > 0, "{called}, to {grow_to}");
        }
    }
}

#[test]
fn an_image_larger_than_the_disk_to_grow_to_reserves_nothing() {
    let options = Options {
        grow_to: GrowTo::try_from(1 << 30).unwrap(),
        free_bytes: 20 << 30,
        ..tight()
    };
    let superblock = Image::of(everything(), &options).superblock();
    assert!(!superblock.contains_key("Reserved GDT blocks"));
}

/// A choice, as the documentation calls it, and how it is made.
type Choice = (&'static str, fn(&mut Options));

const CHOICES: [Choice; 18] = [
    ("`profile = \"modern\"`", |o| {
        o.features = Features::modern();
    }),
    ("`profile = \"legacy-uboot\"`", |o| {
        o.features = Features::legacy_uboot();
    }),
    ("no `has_journal`", |o| without("has_journal", o)),
    ("no `resize_inode`", |o| without("resize_inode", o)),
    ("no `64bit`", |o| without("64bit", o)),
    ("no `flex_bg`", |o| without("flex_bg", o)),
    ("`freeBytes = 16777216` (the default)", |o| {
        o.free_bytes = Options::DEFAULT_FREE_BYTES;
    }),
    ("`freeInodes = 1024` (the default)", |o| {
        o.free_inodes = Options::DEFAULT_FREE_INODES;
    }),
    ("`freeInodes = 100000`", |o| o.free_inodes = 100_000),
    ("`reservedPercent = 50`", |o| {
        o.reserved_percent = ReservedPercent::try_from(50).unwrap();
    }),
    ("`inodeRatio = 4096`", |o| {
        o.inode_ratio = InodeRatio::try_from(4096).unwrap();
    }),
    ("`inodeRatio = 65536`", |o| {
        o.inode_ratio = InodeRatio::try_from(65_536).unwrap();
    }),
    ("`journalSize = 4194304`", |o| {
        o.journal_size = Some(JournalSize::try_from(4 << 20).unwrap());
    }),
    ("`journalSize = 134217728`", |o| {
        o.journal_size = Some(JournalSize::try_from(128 << 20).unwrap());
    }),
    ("`growTo = 0`", |o| o.grow_to = GrowTo::try_from(0).unwrap()),
    ("`growTo = 68719476736` (64 GiB)", |o| {
        o.grow_to = GrowTo::try_from(64 << 30).unwrap();
    }),
    ("`growTo = 1099511627776` (1 TiB)", |o| {
        o.grow_to = GrowTo::try_from(1 << 40).unwrap();
    }),
    ("`growTo = 17592186044415` (16 TiB)", |o| {
        o.grow_to = GrowTo::try_from((16 << 40) - 1).unwrap();
    }),
];

fn without(feature: &str, options: &mut Options) {
    let others = options.features.to_string();
    options.features = features(others.split(' ').filter(|other| *other != feature));
}

/// A file that nobody reads, for layout alone.
fn unread(length: u64) -> Node {
    let origin = Origin::Range {
        container: Container::at("/nobody/opens/this").into(),
        offset: 0,
    };
    Node::file(metadata(0o644), Source::new(length, origin))
}

#[test]
fn the_documented_costs_are_those_of_layouts() {
    let trees: [fn() -> Tree; 3] = [
        empty,
        || tree_of([("file", unread(2 << 30))]),
        || tree_of([("file", unread(16 << 30))]),
    ];
    let sizes = |options: &Options| trees.map(|tree| size(tree(), options));
    let base = sizes(&tight());
    let row = |called: &str, cells: [String; 3]| format!("| {called} | {} |\n", cells.join(" | "));
    let mut table = row("nothing", base.map(|size| grouped(size.cast_signed())));
    for (called, choose) in CHOICES {
        let mut options = tight();
        choose(&mut options);
        let found = sizes(&options);
        let more = [0, 1, 2].map(|i| grouped(found[i].cast_signed() - base[i].cast_signed()));
        table.push_str(&row(called, more));
    }
    let documented = include_str!("../../docs/image-format.md");
    assert!(documented.contains(&table), "the table is\n{table}");
}

/// A number with commas.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 {
        text.insert(0, '-');
    }
    text
}
