use super::*;

const IDENTITY: Identity = Identity([7; 16]);

fn pieces(size: u64, ranges: &[(u64, u64)]) -> Pieces {
    let pieces = ranges.iter().map(|&(offset, length)| Piece {
        offset,
        length,
        content: Content::Zeros,
    });
    Pieces::new(size, pieces.collect())
}

fn places(pieces: &Pieces) -> Vec<(u64, u64)> {
    let pieces = pieces.as_slice().iter();
    pieces.map(|piece| (piece.offset, piece.length)).collect()
}

fn bytes(piece: &Piece) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(piece.length).unwrap()];
    match &piece.content {
        Content::Encoded(structure) => structure.encode(&mut bytes),
        Content::Source { source, .. } => source.read_at(0, &mut bytes).unwrap(),
        Content::Zeros => {}
    }
    bytes
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().map(|byte| u32::from(*byte)).sum()
}

#[test]
fn a_fixed_image_is_the_disk_and_a_footer() {
    let image = vhd(pieces(4096, &[(512, 1000)]), VhdForm::Fixed, IDENTITY).unwrap();
    assert_eq!(places(&image), [(512, 1000), (4096, 512)]);
    assert_eq!(image.size(), 4096 + 512);
    let footer = bytes(&image.as_slice()[1]);
    assert_eq!(footer[..8], *b"conectix");
    assert_eq!(footer[16..24], [0xff; 8]);
    assert_eq!(footer[48..56], 4096_u64.to_be_bytes());
    assert_eq!(footer[68..84], [7; 16]);
    let checksum = u32::from_be_bytes(footer[64..68].try_into().unwrap());
    assert_eq!(!checksum, sum(&footer) - sum(&footer[64..68]));
}

#[test]
fn blocks_of_a_dynamic_image_stand_in_order_and_pieces_are_cut_between_them() {
    // Of four blocks the second is a hole.
    let disk = pieces(
        3 * BLOCK + 512,
        &[(BLOCK - 512, 512), (3 * BLOCK - 512, 1024)],
    );
    let image = vhd(disk, VhdForm::Dynamic, IDENTITY).unwrap();
    let stride = HEAD + BLOCK;
    let end = 4096 + 3 * stride;
    assert_eq!(
        places(&image),
        [
            (0, 512),
            (512, 1024),
            (1536, 512),
            (4096, HEAD),
            (4096 + stride - 512, 512),
            (4096 + stride, HEAD),
            (4096 + 2 * stride - 512, 512),
            (4096 + 2 * stride, HEAD),
            (4096 + 2 * stride + HEAD, 512),
            (end, 512),
        ]
    );
    assert_eq!(image.size(), end + 512);
    let [footer, header, table, head, .., last] = image.as_slice() else {
        panic!()
    };
    assert_eq!(bytes(footer), bytes(last));
    let header = bytes(header);
    let checksum = u32::from_be_bytes(header[36..40].try_into().unwrap());
    assert_eq!(!checksum, sum(&header) - sum(&header[36..40]));
    let table = bytes(table);
    let sector = |entry: usize| u32::from_be_bytes(table[4 * entry..][..4].try_into().unwrap());
    let bitmap = |rank: u64| u32::try_from((4096 + rank * stride + HEAD) / 512 - 1).unwrap();
    let entries = [0, 1, 2, 3, 4, 127].map(sector);
    let none = u32::MAX;
    assert_eq!(entries, [bitmap(0), none, bitmap(1), bitmap(2), none, none]);
    let head = bytes(head);
    let (padding, bitmap) = head.split_at(4096 - 512);
    assert!(padding.iter().all(|byte| *byte == 0));
    assert!(bitmap.iter().all(|byte| *byte == 0xff));
}

#[test]
fn a_structure_that_is_cut_is_still_one() {
    #[derive(Debug)]
    struct Counted;
    impl Encode for Counted {
        fn encode(&self, bytes: &mut [u8]) {
            for (number, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::try_from(number % 251).unwrap();
            }
        }
    }
    let counted = Piece {
        offset: BLOCK - 1000,
        length: 3000,
        content: Content::Encoded(Arc::new(Counted)),
    };
    let disk = Pieces::new(2 * BLOCK, vec![counted]);
    let image = vhd(disk, VhdForm::Dynamic, IDENTITY).unwrap();
    let parts = image.as_slice();
    let found = [bytes(&parts[4]), bytes(&parts[6])];
    assert_eq!(found.each_ref().map(Vec::len), [1000, 2000]);
    let mut expected = vec![0; 3000];
    Counted.encode(&mut expected);
    assert_eq!(found.concat(), expected);
}

#[test]
fn a_disk_that_is_too_large_or_ends_within_a_sector_is_refused_with_the_numbers() {
    for form in [VhdForm::Fixed, VhdForm::Dynamic] {
        let error = |size| vhd(pieces(size, &[]), form, IDENTITY).unwrap_err();
        assert_eq!(
            error(LIMIT + 512).to_string(),
            "a VHD image holds at most 2190433320960 bytes, and this one has 2190433321472; choose \
             a smaller size, or container = \"raw\""
        );
        assert_eq!(
            error(4097),
            ContainerError::Sectors {
                container: "VHD",
                size: 4097,
                sector: 512,
            }
        );
        let largest = vhd(pieces(LIMIT, &[(0, LIMIT)]), form, IDENTITY).unwrap();
        let [.., footer] = largest.as_slice() else {
            panic!()
        };
        assert_eq!(footer.offset, largest.size() - 512);
    }
}
