use std::io::Read;
use std::os::unix::fs::{FileExt, symlink};

use proptest::prelude::*;

use super::*;
use crate::store::nar::Writer;
use crate::store::nar::samples::{
    container, dumped, encoded, lines, make, output_of, sample, samples, strings,
};
use crate::store::scan;

const MTIME: Timestamp = Timestamp::from_seconds(7);

fn read(bytes: &[u8]) -> Result<Tree, NarReadError> {
    let length = bytes.len() as u64;
    let (tree, end) = read_tree(&container(bytes), 0..length, MTIME)?;
    assert_eq!(end, length);
    Ok(tree)
}

/// The error of a NAR of these strings, and the offset that it names.
fn fault(tokens: &[&[u8]]) -> (NarReadError, u64) {
    let error = read(&strings(tokens)).unwrap_err();
    let offset = offset(&error);
    (error, offset)
}

fn offset(error: &NarReadError) -> u64 {
    let text = error.to_string();
    let rest = text.strip_prefix("byte ").expect(&text);
    let digits = rest.split([':', ' ']).next().unwrap();
    digits.parse().unwrap()
}

/// Strings that begin a directory with an entry of this name.
fn entry(name: &[u8]) -> [&[u8]; 9] {
    [
        MAGIC,
        b"(",
        b"type",
        b"directory",
        b"entry",
        b"(",
        b"name",
        name,
        b"node",
    ]
}

/// Where the name begins in [`entry`].
const NAME: u64 = 24 + 16 + 16 + 24 + 16 + 16 + 16;

const EMPTY_DIRECTORY: [&[u8]; 4] = [b"(", b"type", b"directory", b")"];

#[test]
fn a_tree_is_what_a_scan_of_the_same_gives() {
    let sample = sample();
    for path in ["", "a", "B", "b/link", "b"] {
        let path = sample.path().join(path);
        let scanned = lines(&scan(&path, MTIME).unwrap());
        for nar in [dumped(&path), output_of("nix-store", &["--dump"], &path)] {
            assert_eq!(lines(&read(&nar).unwrap()), scanned);
        }
    }
}

#[test]
fn a_nar_may_begin_and_end_anywhere() {
    let first = dumped(sample().path());
    let second = strings(&[MAGIC, b"(", b"type", b"symlink", b"target", b"x", b")"]);
    let bytes = [&b"abc"[..], &first, &second, b"left"].concat();
    let container = container(&bytes);
    let end = bytes.len() as u64;
    let (tree, middle) = read_tree(&container, 3..end, MTIME).unwrap();
    assert_eq!(encoded(&tree), first);
    let (tree, end) = read_tree(&container, middle..end, MTIME).unwrap();
    assert_eq!(encoded(&tree), second);
    assert_eq!(end, bytes.len() as u64 - 4);
}

#[test]
fn files_of_all_sizes_around_the_window_are_found() {
    let temporary = tempfile::tempdir().unwrap();
    let sizes = [0, 1, 7, 8, 9, 3900, 4096, 4200, 65_400, 65_536, 65_537];
    for number in 0..400 {
        let size = sizes[number * 7 % sizes.len()] + number % 11;
        let byte = u8::try_from(number % 251).unwrap();
        std::fs::write(temporary.path().join(number.to_string()), vec![byte; size]).unwrap();
    }
    symlink("t".repeat(4095), temporary.path().join("link")).unwrap();
    let nar = dumped(temporary.path());
    assert_eq!(encoded(&read(&nar).unwrap()), nar);
}

#[test]
fn a_file_without_contents_is_empty() {
    let executable: [&[u8]; 2] = [b"executable", b""];
    for (tokens, line) in [(&executable[..0], ". 444 7 "), (&executable, ". 555 7 ")] {
        let nar = [&[MAGIC, b"(", b"type", b"regular"], tokens, &[b")"]].concat();
        assert_eq!(lines(&read(&strings(&nar)).unwrap()), [line]);
    }
}

#[test]
fn a_nar_that_is_cut_anywhere_is_refused_with_the_byte() {
    let nar = dumped(sample().path());
    let container = container(&nar);
    // The large file in the middle is the same all along.
    for end in (0..2000).chain(nar.len() as u64 - 1000..nar.len() as u64) {
        let error = read_tree(&container, 0..end, MTIME).unwrap_err();
        assert!(
            matches!(
                &error,
                NarReadError::Stream(StreamError::Ends { offset, needed, left })
                    if offset + left == end && needed > left
            ),
            "{end}: {error:?}"
        );
    }
}

#[test]
fn a_container_that_became_shorter_is_refused() {
    let nar = dumped(sample().path());
    let container = container(&nar[..nar.len() - 8]);
    let error = read_tree(&container, 0..nar.len() as u64, MTIME).unwrap_err();
    assert!(
        matches!(error, NarReadError::Stream(StreamError::Read { .. })),
        "{error:?}"
    );
}

#[test]
fn what_is_accepted_after_a_byte_has_changed_is_a_nar_still() {
    let temporary = tempfile::tempdir().unwrap();
    std::fs::create_dir(temporary.path().join("d")).unwrap();
    std::fs::write(temporary.path().join("d/file"), "twelve bytes").unwrap();
    std::fs::write(temporary.path().join("e"), "").unwrap();
    symlink("target", temporary.path().join("link")).unwrap();
    let nar = dumped(temporary.path());
    let container = container(&nar);
    let mut accepted = 0;
    for at in 0..nar.len() {
        for change in [1, 2, 4, 0x20, 0x80, 0xff] {
            let put = |byte: u8| container.with_file(|file| file.write_at(&[byte], at as u64));
            put(nar[at] ^ change).unwrap();
            match read_tree(&container, 0..nar.len() as u64, MTIME) {
                Ok((tree, end)) => {
                    accepted += 1;
                    let mut changed = nar.clone();
                    changed[at] ^= change;
                    assert_eq!(encoded(&tree), changed[..usize::try_from(end).unwrap()]);
                }
                Err(error) => assert!(offset(&error) <= nar.len() as u64, "{error}"),
            }
            put(nar[at]).unwrap();
        }
    }
    assert!(accepted > 12 * 6, "{accepted} changes of contents and more");
}

#[test]
fn lengths_beyond_the_stream_cost_nothing() {
    let file: [&[u8]; 5] = [MAGIC, b"(", b"type", b"regular", b"contents"];
    for length in [9, 1 << 40, u64::MAX - 7, u64::MAX] {
        let mut nar = strings(&file);
        let offset = nar.len() as u64 + 8;
        nar.extend(length.to_le_bytes());
        nar.extend([0; 8]);
        assert!(matches!(
            read(&nar).unwrap_err(),
            NarReadError::Stream(StreamError::Ends { offset: o, needed, left: 8 })
                if o == offset && needed == length
        ));
    }
    for tokens in [
        &entry(b"x")[..7],
        &[MAGIC, b"(", b"type", b"symlink", b"target"],
    ] {
        let mut nar = strings(tokens);
        let offset = nar.len() as u64;
        nar.extend(u64::MAX.to_le_bytes());
        assert!(matches!(
            read(&nar).unwrap_err(),
            NarReadError::Stream(StreamError::TooLong { offset: o, length: u64::MAX, .. })
                if o == offset
        ));
    }
}

#[test]
fn names_that_no_directory_holds_are_refused() {
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0"] {
        let (error, offset) = fault(&entry(name));
        assert!(matches!(error, NarReadError::Name { .. }), "{error:?}");
        assert_eq!(offset, NAME);
    }
    let (error, offset) = fault(&entry(&[b'x'; 256]));
    assert_eq!(
        error.to_string(),
        "byte 128: a string of 256 bytes, where 255 are the most"
    );
    assert_eq!(offset, NAME);
}

#[test]
fn names_that_do_not_rise_are_refused() {
    for second in [&b"b"[..], b"a", b"B"] {
        let mut tokens = entry(b"b").to_vec();
        tokens.extend(EMPTY_DIRECTORY);
        tokens.push(b")");
        let offset = strings(&tokens).len() + 16 + 16 + 16;
        tokens.extend(&entry(second)[4..]);
        let (error, found) = fault(&tokens);
        assert!(matches!(error, NarReadError::Order { .. }), "{error:?}");
        assert_eq!(found, offset as u64);
    }
}

#[test]
fn padding_is_zero_after_strings_and_contents() {
    let contents: [&[u8]; 7] = [MAGIC, b"(", b"type", b"regular", b"contents", b"abc", b")"];
    let nar = strings(&contents);
    let content = nar.len() - 16 - 8;
    read(&nar).unwrap();
    for at in content + 3..content + 8 {
        let mut wrong = nar.clone();
        wrong[at] = 1;
        let error = read(&wrong).unwrap_err();
        assert!(
            matches!(&error, NarReadError::Stream(StreamError::Padding { offset, length: 5 })
                if *offset == content as u64 + 3),
            "{error:?}"
        );
    }
    let mut wrong = nar;
    wrong[24 + 8 + 1] = b'(';
    let error = read(&wrong).unwrap_err();
    assert_eq!(
        error.to_string(),
        "byte 33: the 7 bytes of padding are not all zero"
    );
}

#[test]
fn what_the_grammar_does_not_have_is_refused() {
    let token = |tokens: &[&[u8]]| {
        let (error, offset) = fault(tokens);
        assert!(matches!(error, NarReadError::Token { .. }), "{error:?}");
        offset
    };
    assert_eq!(token(&[MAGIC, b")"]), 24);
    assert_eq!(token(&[MAGIC, b"(", b"Type"]), 40);
    assert_eq!(token(&[MAGIC, b"(", b"type", b"fifo"]), 56);
    let regular: [&[u8]; 4] = [MAGIC, b"(", b"type", b"regular"];
    for (tokens, offset) in [
        (&[&b"executable"[..], b"1"][..], 96),
        (&[b"executable", b"", b"executable"], 104),
        (&[b"contents", b"", b"contents"], 96),
        (&[b"contents", b"", b"executable"], 96),
        (&[b"entry"], 72),
    ] {
        assert_eq!(token(&[&regular, tokens].concat()), offset);
    }
    assert_eq!(token(&[MAGIC, b"(", b"type", b"directory", b"node"]), 80);
    assert_eq!(token(&[&entry(b"x")[..8], &[b")"]].concat()), NAME + 16);
    for no_nar in [
        &b"nix-archive-2"[..],
        b"nix-archive-1 and much more that does not belong there",
    ] {
        assert!(matches!(fault(&[no_nar]), (NarReadError::Magic { .. }, 0)));
    }
    let error = read(b"\x28\xb5\x2f\xfd and what else a compressed NAR has").unwrap_err();
    assert!(matches!(error, NarReadError::Magic { offset: 0 }));
}

#[test]
fn targets_that_no_symlink_has_are_refused() {
    for target in [&b""[..], b"a\0b"] {
        let (error, offset) = fault(&[MAGIC, b"(", b"type", b"symlink", b"target", target]);
        assert!(matches!(error, NarReadError::Target { .. }), "{error:?}");
        assert_eq!(offset, 24 + 16 + 16 + 16 + 16);
    }
    let (error, _) = fault(&[MAGIC, b"(", b"type", b"symlink", b"target", &[b'x'; 4096]]);
    assert!(matches!(
        error,
        NarReadError::Stream(StreamError::TooLong { length: 4096, .. })
    ));
}

/// A NAR of directories in one another, all called `d`.
fn nested(depth: usize) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.begin_directory().unwrap();
    for _ in 0..depth {
        writer.entry(b"d").unwrap();
        writer.begin_directory().unwrap();
    }
    for _ in 0..=depth {
        writer.end_directory().unwrap();
    }
    writer.finish()
}

#[test]
fn depth_costs_no_stack_and_ends_where_paths_do() {
    let deepest = MAX_PATH_LENGTH / 2;
    let reading = |depth: usize| {
        let read = move || read(&nested(depth)).map(|tree| tree.len());
        let thread = std::thread::Builder::new().stack_size(128 << 10);
        thread.spawn(read).unwrap().join().unwrap()
    };
    assert_eq!(reading(deepest).unwrap(), deepest + 1);
    for depth in [deepest + 1, 100_000] {
        assert!(matches!(
            reading(depth).unwrap_err(),
            NarReadError::Path { length, .. } if length == 2 * (deepest + 1)
        ));
    }
}

#[test]
fn the_longest_path_is_one_that_the_kernel_takes() {
    let top = format!("/nix/store/{}-x", "0".repeat(32));
    StorePath::parse(&top).unwrap();
    assert_eq!(top.len() + MAX_PATH_LENGTH, 4095);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_tree_comes_back_from_its_nar(sample in samples()) {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("top");
        make(&sample, &path);
        let mut nar = Vec::new();
        nix_nar::Encoder::new(&path).unwrap().read_to_end(&mut nar).unwrap();
        let tree = read(&nar).unwrap();
        prop_assert_eq!(lines(&tree), lines(&scan(&path, MTIME).unwrap()));
        prop_assert_eq!(encoded(&tree), nar);
    }

    #[test]
    fn no_bytes_make_it_panic(
        sample in samples(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("top");
        make(&sample, &path);
        let mut nar = dumped(&path);
        for (at, byte) in changes {
            let at = at.index(nar.len());
            nar[at] = byte;
        }
        let length = nar.len() as u64;
        if let Ok((tree, end)) = read_tree(&container(&nar), 0..length, MTIME) {
            prop_assert_eq!(encoded(&tree), &nar[..usize::try_from(end).unwrap()]);
        }
    }
}
