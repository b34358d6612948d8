use super::*;

fn pieces(size: u64, ranges: &[(u64, u64)]) -> Pieces {
    let pieces = ranges.iter().map(|&(offset, length)| Piece {
        offset,
        length,
        content: Content::Zeros,
    });
    Pieces::new(size, pieces.collect())
}

fn encoded(piece: &Piece) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(piece.length).unwrap()];
    match &piece.content {
        Content::Encoded(structure) => structure.encode(&mut bytes),
        content => panic!("{content:?}"),
    }
    bytes
}

fn entries(piece: &Piece) -> Vec<u64> {
    let mut bytes = encoded(piece);
    format::entries(&mut bytes)
        .iter()
        .map(|entry| entry.0.get())
        .collect()
}

/// A disk of two tables' parts and a bit, of which the middle one is a hole.
#[test]
fn covered_clusters_stand_in_order_behind_the_tables() {
    let disk = pieces(
        2 * TABLE_BYTES + 512,
        &[
            (3 * CLUSTER + 512, 512),
            (5 * CLUSTER, CLUSTER + 1),
            (2 * TABLE_BYTES, 512),
        ],
    );
    let image = qcow2(disk).unwrap();
    let found: Vec<_> = image
        .as_slice()
        .iter()
        .map(|piece| (piece.offset, piece.length))
        .collect();
    assert_eq!(
        found,
        [
            (0, CLUSTER),
            (CLUSTER, CLUSTER),
            (2 * CLUSTER, CLUSTER),
            (3 * CLUSTER, CLUSTER),
            (4 * CLUSTER + 512, 512),
            (5 * CLUSTER, CLUSTER + 1),
            (7 * CLUSTER, 512),
            (8 * CLUSTER, CLUSTER),
            (9 * CLUSTER, CLUSTER),
        ]
    );
    assert_eq!(image.size(), 10 * CLUSTER);

    let [_, l1, l2, last_l2, .., refcounts, table] = image.as_slice() else {
        panic!()
    };
    let copied = |cluster: u64| 1 << 63 | (cluster * CLUSTER);
    assert_eq!(entries(l1)[..4], [copied(2), 0, copied(3), 0]);
    let l2 = entries(l2);
    assert_eq!(l2[..8], [0, 0, 0, copied(4), 0, copied(5), copied(6), 0]);
    assert!(l2[8..].iter().all(|entry| *entry == 0));
    assert_eq!(entries(last_l2)[..2], [copied(7), 0]);
    assert_eq!(entries(table)[..2], [8 * CLUSTER, 0]);
    let mut refcounts = encoded(refcounts);
    let refcounts: Vec<_> = format::refcounts(&mut refcounts)
        .iter()
        .map(|refcount| refcount.0.get())
        .collect();
    assert!(refcounts[..10].iter().all(|refcount| *refcount == 1));
    assert!(refcounts[10..].iter().all(|refcount| *refcount == 0));
}

#[test]
fn refcount_blocks_count_themselves() {
    let layout = |data_end| {
        let Layout {
            refcount_blocks,
            refcount_table,
            end,
        } = Layout::new(data_end);
        assert_eq!(refcount_blocks, data_end);
        (refcount_table - refcount_blocks, end - refcount_table)
    };
    assert_eq!(layout(2), (1, 1));
    assert_eq!(layout(REFCOUNTS_PER_BLOCK - 2), (1, 1));
    assert_eq!(layout(REFCOUNTS_PER_BLOCK - 1), (2, 1));
    assert_eq!(layout(2 * REFCOUNTS_PER_BLOCK - 3), (2, 1));
    assert_eq!(layout(2 * REFCOUNTS_PER_BLOCK - 2), (3, 1));
    let (blocks, table) = layout(ENTRIES_PER_CLUSTER * REFCOUNTS_PER_BLOCK);
    assert_eq!((blocks, table), (ENTRIES_PER_CLUSTER + 1, 2));
}

#[test]
fn a_disk_that_is_too_large_or_ends_within_a_sector_is_refused_with_the_numbers() {
    let error = |size| qcow2(pieces(size, &[])).unwrap_err();
    assert_eq!(
        error(LIMIT + 512),
        ContainerError::TooLarge {
            container: "qcow2",
            size: LIMIT + 512,
            limit: 1 << 51,
        }
    );
    assert_eq!(
        error(1_000_000).to_string(),
        "a qcow2 image holds whole sectors of 512 bytes, and this one has 1000000 bytes, 64 too \
         many; choose a size that is a multiple of 512, or container = \"raw\""
    );
    qcow2(pieces(LIMIT, &[])).unwrap();
}
