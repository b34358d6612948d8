//! Layout by itself: whatever the content and the choices, nothing is given twice, and
//! what is said to be free is what nothing takes.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

use super::super::features::Features;
use super::super::group::{self, DescriptorChecksum};
use super::super::options::{GrowTo, InodeRatio, Uuid};
use super::super::{LayoutError, lay_out};
use super::*;
use crate::image::Content;
use crate::source::{Container, Origin, Source};
use crate::tree::{Metadata, Name, Node, Timestamp, Tree};

const UUID: Uuid = Uuid(*b"nix2image layout");

/// A file that nobody reads.
#[derive(Clone, Debug)]
struct Recipe {
    length: u64,
    /// Blocks of data, then blocks of a hole, and so on.
    pattern: Option<(u64, u64)>,
    xattr_block: bool,
}

impl Recipe {
    fn node(&self) -> Node {
        let mut metadata = metadata();
        if self.xattr_block {
            let xattrs = [(b"user.large"[..].into(), [1; 200][..].into())];
            metadata.xattrs = Some(Box::new(xattrs.into_iter().collect()));
        }
        Node::file(
            metadata,
            Source {
                data: self
                    .pattern
                    .map(|(data, hole)| pattern(self.length, data, hole)),
                ..unread(self.length)
            },
        )
    }
}

/// Data and holes in turn, in at most some thousand pieces.
fn pattern(length: u64, data: u64, hole: u64) -> Arc<Vec<Range<u64>>> {
    const MOST: usize = 3000;
    let [data, hole] = [data, hole].map(|blocks| blocks * BLOCK_BYTES);
    let ranges = (0..)
        .map(|i| i * (data + hole))
        .take_while(|start| *start < length)
        .take(MOST)
        .map(|start| start..length.min(start + data))
        .collect();
    Arc::new(ranges)
}

fn metadata() -> Metadata {
    Metadata::of_root(0o644, Timestamp::from_seconds(1))
}

fn unread(length: u64) -> Source {
    let origin = Origin::Range {
        container: Container::at("/nobody/opens/this").into(),
        offset: 0,
    };
    Source::new(length, origin)
}

fn tree(files: impl IntoIterator<Item = Node>) -> Tree {
    let mut tree = Tree::new(Node::directory(metadata()));
    for (number, node) in files.into_iter().enumerate() {
        let name = Name::new(format!("{number:06}")).unwrap();
        tree.insert(Tree::ROOT, name, node).unwrap();
    }
    tree
}

fn lengths() -> impl Strategy<Value = u64> {
    let around_groups = (1..40_u64, 0..2400_u64)
        .prop_map(|(groups, more)| (groups * BLOCKS_PER_GROUP + more - 1200) * BLOCK_BYTES);
    prop_oneof![
        64 => 0..100_000_u64,
        32 => 0..100_000_000_u64,
        16 => around_groups,
        1 => (27..40_u32).prop_flat_map(|bits| (1_u64 << bits)..=2 << bits),
    ]
}

fn files() -> impl Strategy<Value = Vec<Recipe>> {
    let pattern = prop_oneof![
        12 => Just(None),
        1 => (1..3_u64, 1..3_u64).prop_map(Some),
        1 => (1..100_000_u64, 1..1000_u64).prop_map(Some),
    ];
    let one = (lengths(), pattern, prop::bool::weighted(0.2)).prop_map(
        |(length, pattern, xattr_block)| Recipe {
            length,
            pattern,
            xattr_block,
        },
    );
    let empty = Recipe {
        length: 0,
        pattern: None,
        xattr_block: false,
    };
    prop_oneof![
        40 => vec(one, 0..8),
        1 => (0..2000_usize).prop_map(move |count| vec![empty.clone(); count]),
    ]
}

/// Any set of features that go together.
fn features() -> impl Strategy<Value = Features> {
    const OPTIONAL: [Feature; 10] = [
        Feature::HasJournal,
        Feature::ResizeInode,
        Feature::DirIndex,
        Feature::OrphanFile,
        Feature::Bit64,
        Feature::FlexBg,
        Feature::MetadataCsumSeed,
        Feature::UninitBg,
        Feature::DirNlink,
        Feature::MetadataCsum,
    ];
    // Files of 2 TiB and more take `huge_file`.
    const REQUIRED: [Feature; 7] = [
        Feature::ExtAttr,
        Feature::Filetype,
        Feature::Extent,
        Feature::SparseSuper,
        Feature::LargeFile,
        Feature::ExtraIsize,
        Feature::HugeFile,
    ];
    let any = prop::sample::subsequence(&OPTIONAL[..], 0..=OPTIONAL.len());
    let set = any.prop_map(|optional| {
        let has = |feature| optional.contains(&feature);
        // What does not go with the others is left out.
        let goes = |feature: &Feature| match feature {
            Feature::OrphanFile => has(Feature::HasJournal),
            Feature::MetadataCsumSeed => has(Feature::MetadataCsum),
            Feature::UninitBg => !has(Feature::MetadataCsum),
            _ => true,
        };
        let optional = optional.iter().copied().filter(goes);
        Features::new(optional.chain(REQUIRED)).expect("they go together")
    });
    prop_oneof![
        Just(Features::default_profile()),
        Just(Features::modern()),
        Just(Features::legacy_uboot()),
        set,
    ]
}

prop_compose! {
    fn options()(
        features in features(),
        free_bytes in prop_oneof![3 => Just(0), 1 => 0..50_000_000_u64, 1 => lengths()],
        free_inodes in prop_oneof![3 => Just(0), 2 => 0..20_000_u32, 1 => 0..1_000_000_u32],
        inode_ratio in prop_oneof![
            2 => Just(16384_u64),
            1 => prop::sample::select(vec![4096, 8192, 65536, 4 << 20, 64 << 20]),
            1 => 4096..1_000_000_u64,
        ],
        journal_blocks in prop_oneof![3 => Just(None), 1 => (1024..100_000_u64).prop_map(Some)],
        grow_to in prop_oneof![
            2 => Just(4_u64 << 40),
            1 => prop::sample::select(vec![0, 1, 1 << 30, 1 << 40, (16 << 40) - 1]),
            1 => 0..16_u64 << 40,
        ],
    ) -> Options {
        Options {
            features,
            free_bytes,
            free_inodes,
            inode_ratio: InodeRatio::try_from(inode_ratio).unwrap(),
            journal_size: journal_blocks
                .map(|blocks| JournalSize::try_from(blocks * BLOCK_BYTES).unwrap()),
            grow_to: GrowTo::try_from(grow_to).unwrap(),
            ..Options::new(UUID)
        }
    }
}

/// A tree with all that is known of its files.
struct Numbered {
    tree: Tree,
    inventory: Inventory,
}

impl Numbered {
    fn new(files: &[Recipe], options: &Options) -> Self {
        let mut tree = tree(files.iter().map(Recipe::node));
        let inventory = Inventory::new(&mut tree, options).unwrap();
        Self { tree, inventory }
    }

    fn fit(&self, options: &Options, size: Option<u64>) -> Result<Layout, SizeError> {
        let options = Options {
            size,
            ..options.clone()
        };
        Layout::fit(&self.inventory, &options)
    }
}

/// Everything that `layout` gives a place, as ranges of blocks.
fn places(inventory: &Inventory, layout: &Layout) -> Vec<Range<u64>> {
    let geometry = &layout.geometry;
    let shape = geometry.shape();
    let mut places = Vec::new();
    let mut add = |start: Block, length: u64| places.push(start.0..start.0 + length);
    for group in (0..shape.groups).map(Group) {
        let metadata = geometry.metadata(group);
        add(metadata.block_bitmap, 1);
        add(metadata.inode_bitmap, 1);
        add(metadata.inode_table, shape.inode_table_blocks());
        if let Some(run) = shape.superblock_run(group) {
            add(run.start, run.length);
        }
    }
    if shape.reserved_descriptor_blocks() > 0 {
        add(geometry.block(Rank(0)), 1);
    }
    let mut add_allocation = |allocation: Allocation, content: &Mapped| {
        for extent in allocation.extents(geometry, content) {
            add(extent.physical, extent.blocks.into());
        }
        for run in allocation.tree_runs(geometry) {
            add(run.start, run.length);
        }
    };
    for internal in layout.journal.into_iter().chain(layout.orphan_file) {
        add_allocation(internal, &Mapped::All(internal.content_blocks));
    }
    let mut xattr_blocks = Vec::new();
    for (file, first) in inventory.files().iter().zip(&layout.files) {
        let allocation = Allocation::new(geometry, *first, &file.content);
        add_allocation(allocation, &file.content);
        if file.xattr_block {
            xattr_blocks.push(geometry.block(allocation.end()));
        }
    }
    places.extend(xattr_blocks.into_iter().map(|block| block.0..block.0 + 1));
    places.retain(|place| !place.is_empty());
    places
}

/// `places` in order, those that touch joined.
fn joined(mut places: Vec<Range<u64>>) -> Result<Vec<Range<u64>>, TestCaseError> {
    places.sort_unstable_by_key(|place| place.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for place in places {
        match joined.last_mut() {
            Some(last) if last.end >= place.start => {
                prop_assert_eq!(last.end, place.start, "{:?} overlaps {:?}", place, last);
                last.end = place.end;
            }
            _ => joined.push(place),
        }
    }
    Ok(joined)
}

/// The parts of `taken`, which is in order, that lie in `range`.
fn within(taken: &[Range<u64>], range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let first = taken.partition_point(|part| part.end <= range.start);
    taken[first..]
        .iter()
        .take_while(move |part| part.start < range.end)
        .map(move |part| part.start.max(range.start)..part.end.min(range.end))
}

fn sum(ranges: impl Iterator<Item = Range<u64>>) -> u64 {
    ranges.map(|range| range.end - range.start).sum()
}

/// The block bitmap of `group`, from what is taken.
fn bitmap(taken: &[Range<u64>], group: Group, blocks: u64) -> Vec<u8> {
    let start = group.start().0;
    let end = start + BLOCKS_PER_GROUP;
    let mut bitmap = vec![0_u8; BLOCK_SIZE];
    let padding = blocks.min(end)..end;
    for range in within(taken, start..end).chain([padding]) {
        let [mut bit, end] =
            [range.start, range.end].map(|block| usize::try_from(block - start).unwrap());
        while bit < end {
            let whole_byte = bit % 8 == 0 && bit + 8 <= end;
            bitmap[bit / 8] |= if whole_byte { 0xFF } else { 1 << (bit % 8) };
            bit += if whole_byte { 8 } else { 1 };
        }
    }
    bitmap
}

/// Fails unless everything has a place of its own in `layout` and the rest is free.
fn is_sound(numbered: &Numbered, options: &Options, layout: &Layout) -> TestCaseResult {
    let Numbered { tree, inventory } = numbered;
    let shape = layout.geometry.shape();
    let taken = joined(places(inventory, layout))?;
    let last = taken.last().expect("there is a superblock");
    prop_assert!(last.end <= layout.blocks, "{last:?} of {}", layout.blocks);
    prop_assert!(layout.blocks * BLOCK_BYTES <= layout.image_size);
    let free = layout.blocks - sum(taken.iter().cloned());
    prop_assert_eq!(free, layout.free_blocks(layout.blocks));
    prop_assert!(free >= blocks_of(options.free_bytes));
    let last_group = layout.blocks - Group(shape.groups - 1).start().0;
    prop_assert!((1..=BLOCKS_PER_GROUP).contains(&last_group));
    if let (Some(journal), None) = (layout.journal, options.journal_size) {
        let blocks = journal::default_blocks(layout.blocks);
        prop_assert_eq!(journal.content_blocks, u64::from(blocks));
    }

    let checksum = DescriptorChecksum::Crc16(options.uuid);
    let usage = group::usage(layout, inventory, tree, checksum);
    let inodes = u64::from(shape.groups) * u64::from(shape.inodes_per_group);
    let used: u64 = usage.iter().map(|usage| u64::from(usage.used_inodes)).sum();
    prop_assert_eq!(used, u64::from(inventory.last_number().0));
    prop_assert!(inodes - used >= u64::from(options.free_inodes));
    let mut bitmaps = 0;
    for (group, usage) in (0..).map(Group).zip(&usage) {
        let start = group.start().0;
        let end = layout.blocks.min(start + BLOCKS_PER_GROUP);
        let taken_here = sum(within(&taken, start..end));
        prop_assert_eq!(usage.free_blocks, end - start - taken_here, "{:?}", group);
        if usage.block_bitmap_implied {
            let own = layout.geometry.metadata(group);
            let tables = [own.block_bitmap, own.inode_bitmap, own.inode_table]
                .map(|block| (start..end).contains(&block.0));
            let copy = shape.superblock_run(group).map_or(0, |run| run.length);
            let expected = if tables == [true; 3] {
                2 + shape.inode_table_blocks() + copy
            } else {
                prop_assert_eq!(tables, [false; 3]);
                copy
            };
            prop_assert_eq!(taken_here, expected, "{:?} is as the kernel thinks", group);
        }
        // Bitmaps of which there are many alike are looked at now and then.
        let is_mixed = (1..end - start).contains(&taken_here);
        if bitmaps < 12 && (is_mixed || group.0 % 64 == 0) || group.0 + 1 == shape.groups {
            bitmaps += 1;
            let mut found = vec![0; BLOCK_SIZE];
            group::encode_block_bitmap(layout, group, &mut found);
            let expected = bitmap(&taken, group, layout.blocks);
            prop_assert!(found == expected, "the bitmap of {:?}", group);
        }
    }
    for (file, first) in inventory.files().iter().zip(&layout.files) {
        maps_its_blocks(&layout.geometry, *first, &file.content)?;
    }
    Ok(())
}

/// Fails unless the extents from `first` on map all blocks of `content`, in order.
fn maps_its_blocks(geometry: &Geometry, first: Rank, content: &Mapped) -> TestCaseResult {
    let allocation = Allocation::new(geometry, first, content);
    let (all, ranges) = match content {
        Mapped::All(blocks) => (Some(0..*blocks), [].as_slice()),
        Mapped::Ranges(ranges) => (None, &**ranges),
    };
    let mut expected = all
        .into_iter()
        .chain(ranges.iter().cloned())
        .filter(|range| !range.is_empty());
    let mut range = 0..0;
    let mut extents = 0;
    for extent in allocation.extents(geometry, content) {
        extents += 1;
        if range.is_empty() {
            range = expected.next().expect("no more than is mapped");
        }
        prop_assert_eq!(u64::from(extent.logical), range.start);
        prop_assert!((1..=32768).contains(&extent.blocks));
        range.start += u64::from(extent.blocks);
        prop_assert!(range.start <= range.end);
    }
    prop_assert!(range.is_empty() && expected.next().is_none());
    prop_assert_eq!(allocation.tree_blocks, extent::node_count(extents));
    Ok(())
}

/// What holds of one content, with `below` and `above` as hundredths of its size.
fn check(files: &[Recipe], options: &Options, below: u64, above: u64) -> TestCaseResult {
    let numbered = Numbered::new(files, options);
    let smallest = match numbered.fit(options, None) {
        Ok(layout) => layout,
        Err(error) => {
            return Err(TestCaseError::fail(format!("{error}")));
        }
    };
    is_sound(&numbered, options, &smallest)?;
    let least = smallest.image_size;
    prop_assert_eq!(least, smallest.blocks * BLOCK_BYTES);

    // The least size does, and no size below it.
    let exact = numbered.fit(options, Some(least));
    prop_assert_eq!(exact.map(|layout| layout.blocks), Ok(smallest.blocks));
    for size in [least - BLOCK_BYTES, least - 1, least / 100 * below] {
        let refused = numbered.fit(options, Some(size)).map(|_| ());
        prop_assert_eq!(refused, Err(SizeError::TooSmall { size, least }));
    }

    // A larger one does too, or tells which is the least from there on.
    let size = least + least / 100 * above + above;
    match numbered.fit(options, Some(size)) {
        Ok(layout) => {
            prop_assert_eq!(layout.image_size, size);
            is_sound(&numbered, options, &layout)?;
        }
        Err(SizeError::TooSmall { least: more, .. }) => {
            prop_assert!(more > least && more > size, "{more}, not {least}");
            let layout = numbered.fit(options, Some(more));
            prop_assert_eq!(layout.map(|layout| layout.image_size), Ok(more));
            prop_assert!(numbered.fit(options, Some(more - BLOCK_BYTES)).is_err());
        }
        Err(error) => return Err(TestCaseError::fail(format!("{error}"))),
    }
    Ok(())
}

/// Whether the longer tests are wanted too.
fn is_full() -> bool {
    std::env::var_os("NIX2IMAGE_FULL").is_some()
}

#[test]
fn everything_has_a_place_of_its_own_and_no_smaller_size_does() {
    let config = |cases| Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    // The short run has the same cases each time; the long one looks for new ones.
    let mut runner = if is_full() {
        TestRunner::new(config(2_000_000))
    } else {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config(20_000), rng)
    };
    let cases = (files(), options(), 0..100_u64, 0..100_u64);
    let result = runner.run(&cases, |(files, options, below, above)| {
        check(&files, &options, below, above)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Bytes of the largest filesystem.
const LARGEST: u64 = MAX_BLOCKS * BLOCK_BYTES;

/// A file that leaves room for its share of the inode tables, 64 GiB.
const QUARTER: u64 = (4 << 40) - (70 << 30);

fn almost_16_tib() -> Tree {
    tree((0..4).map(|_| Node::file(metadata(), unread(QUARTER))))
}

#[test]
fn almost_16_tib_are_laid_out_in_seconds() {
    let options = Options {
        size: Some(LARGEST),
        ..Options::new(UUID)
    };
    let start = Instant::now();
    let pieces = lay_out(almost_16_tib(), &options).unwrap();
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
    assert_eq!(pieces.size(), LARGEST);
    let files: u64 = pieces
        .as_slice()
        .iter()
        .filter(|piece| {
            matches!(&piece.content, Content::Source { source, .. }
                if matches!(source.origin, Origin::Range { .. }))
        })
        .map(|piece| piece.length)
        .sum();
    assert_eq!(files, 4 * QUARTER);
    // The structures that are made when they are written can be made.
    for piece in pieces.as_slice().iter().rev().take(10) {
        if let Content::Encoded(structure) = &piece.content {
            structure.encode(&mut vec![0; usize::try_from(piece.length).unwrap()]);
        }
    }
}

#[test]
fn the_largest_filesystem_is_sound() {
    let options = Options::new(UUID);
    let mut tree = almost_16_tib();
    let inventory = Inventory::new(&mut tree, &options).unwrap();
    let numbered = Numbered { tree, inventory };
    for features in [
        Features::default_profile(),
        Features::modern(),
        Features::legacy_uboot(),
    ] {
        let options = Options {
            features,
            ..options.clone()
        };
        let layout = numbered.fit(&options, Some(LARGEST)).unwrap();
        is_sound(&numbered, &options, &layout).unwrap();
    }
}

#[test]
fn more_than_the_largest_filesystem_is_refused() {
    let small = || tree([Node::file(metadata(), unread(1))]);
    for size in [LARGEST + BLOCK_BYTES, 16 << 40, 17 << 40, 1 << 60, u64::MAX] {
        let options = Options {
            size: Some(size),
            ..Options::new(UUID)
        };
        let error = lay_out(small(), &options).unwrap_err();
        let blocks = size / BLOCK_BYTES;
        let expected = SizeError::TooManyBlocks { blocks };
        assert_eq!(error, LayoutError::Size(expected));
    }
    for free_bytes in [LARGEST, 1 << 60, u64::MAX] {
        let options = Options {
            free_bytes,
            ..Options::new(UUID)
        };
        let error = lay_out(small(), &options).unwrap_err();
        assert!(
            matches!(error, LayoutError::Size(SizeError::TooManyBlocks { .. })),
            "{error}"
        );
    }
    let mut tree = almost_16_tib();
    let name = Name::new("one too many").unwrap();
    tree.insert(Tree::ROOT, name, Node::file(metadata(), unread(80 << 30)))
        .unwrap();
    let error = lay_out(tree, &Options::new(UUID)).unwrap_err();
    assert!(
        matches!(error, LayoutError::Size(SizeError::TooManyBlocks { .. })),
        "{error}"
    );
}
