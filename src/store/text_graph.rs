//! Graphs as text, as `exportReferencesGraph` gives them without structured attributes.
//!
//! Per store path, a line each, every line with its end:
//!
//! ```text
//! path
//! deriver, or nothing
//! number of references
//! reference, as many times
//! ```
//!
//! Source: `makeValidityRegistration` in Nix's `store-api.cc`, which writes it without
//! hashes here. With them it is a registration, which is another format.

use std::collections::BTreeSet;

use super::{Content, Member, StorePath, StorePathError};

/// Text that is no graph, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text graph is wrong at byte {offset} (line {line})")]
pub struct TextGraphError {
    /// Bytes from the start of the text.
    pub offset: usize,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub source: TextGraphFault,
}

/// What is wrong with the text of a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextGraphFault {
    /// Bytes that are no text.
    #[error("a byte is not UTF-8, and a store path has only ASCII")]
    NotText,
    /// It has the form that `nix-store --load-db` reads.
    #[error(
        "{hash:?} is a hash, and so this looks like a registration (closureInfo's, or of nix-store --dump-db); give the text that exportReferencesGraph writes, or what nix-store --export prints"
    )]
    Registration {
        /// The line that holds a hash.
        hash: String,
    },
    /// A line that must be a store path is none.
    #[error("no {part} is here")]
    Path {
        /// `"store path"`, `"deriver"` or `"reference"`.
        part: &'static str,
        /// The reason.
        source: StorePathError,
    },
    /// A path that the graph has already.
    #[error("{path} is there twice")]
    Twice {
        /// The path.
        path: StorePath,
    },
    /// A number of references that is none.
    #[error("{text:?} is no number of references")]
    NotANumber {
        /// The line.
        text: String,
    },
    /// More references than lines.
    #[error("{count} references are to follow, and {lines} lines are left; was the text cut off?")]
    TooMany {
        /// References that are promised.
        count: u64,
        /// Lines after this one.
        lines: usize,
    },
    /// The text ends within a path's lines.
    #[error("the text ends where a {part} has to follow; was it cut off?")]
    End {
        /// What is missing, as `"deriver"`.
        part: &'static str,
    },
    /// The last line has no end.
    #[error("the last line does not end with a newline; was the text cut off?")]
    CutLine,
}

/// Reads a graph, in the order of the text. What a hash is it does not say; derivers are
/// checked and dropped.
pub fn parse_text_graph(text: &[u8]) -> Result<Vec<Member>, TextGraphError> {
    let mut lines = Lines::new(text)?;
    let mut members = Vec::new();
    let mut seen = BTreeSet::new();
    while !lines.rest.is_empty() {
        let start = lines.here();
        let member = parse_member(&mut lines)?;
        if !seen.insert(member.path.clone()) {
            return Err(start.fault(TextGraphFault::Twice { path: member.path }));
        }
        members.push(member);
    }
    Ok(members)
}

fn parse_member(lines: &mut Lines<'_>) -> Result<Member, TextGraphError> {
    let offset = Some(lines.here().offset as u64);
    let path = lines.store_path("store path")?;
    parse_deriver(lines)?;
    let count = parse_count(lines)?;
    // No capacity from the count: it is what somebody claims.
    let mut references = (0..count)
        .map(|_| lines.store_path("reference"))
        .collect::<Result<Vec<_>, _>>()?;
    references.sort();
    references.dedup();
    Ok(Member {
        path,
        nar: None,
        references,
        ca: None,
        offset,
        content: Content::Live,
    })
}

fn parse_deriver(lines: &mut Lines<'_>) -> Result<(), TextGraphError> {
    let part = "deriver";
    let (place, line) = lines.next(part)?;
    if is_hash(line) {
        return Err(place.fault(TextGraphFault::Registration { hash: line.into() }));
    }
    if !line.is_empty() {
        StorePath::parse(line)
            .map_err(|source| place.fault(TextGraphFault::Path { part, source }))?;
    }
    Ok(())
}

fn is_hash(line: &str) -> bool {
    line.starts_with("sha256:")
        || line.starts_with("sha256-")
        || (line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn parse_count(lines: &mut Lines<'_>) -> Result<u64, TextGraphError> {
    let (place, line) = lines.next("number of references")?;
    let digits = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits.then(|| line.parse::<u64>().ok()).flatten();
    let Some(count) = count else {
        let text = line.into();
        return Err(place.fault(TextGraphFault::NotANumber { text }));
    };
    if count > lines.left as u64 {
        return Err(place.fault(TextGraphFault::TooMany {
            count,
            lines: lines.left,
        }));
    }
    Ok(count)
}

/// Text, line by line.
struct Lines<'a> {
    rest: &'a str,
    /// Lines in `rest`.
    left: usize,
    offset: usize,
    line: usize,
}

/// Where a line begins.
#[derive(Clone, Copy)]
struct Place {
    offset: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    /// Checks that `text` is text and that its last line has an end: a path that is cut
    /// off may be a path still.
    fn new(text: &'a [u8]) -> Result<Self, TextGraphError> {
        let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count();
        let fault_at = |offset: usize, fault| {
            let line = lines(&text[..offset]);
            Place { offset, line }.fault(fault)
        };
        let rest = str::from_utf8(text)
            .map_err(|error| fault_at(error.valid_up_to(), TextGraphFault::NotText))?;
        if !(rest.is_empty() || rest.ends_with('\n')) {
            let start = rest.rfind('\n').map_or(0, |newline| newline + 1);
            return Err(fault_at(start, TextGraphFault::CutLine));
        }
        Ok(Self {
            rest,
            left: lines(text) - 1, // what follows the last newline is none
            offset: 0,
            line: 1,
        })
    }

    fn here(&self) -> Place {
        Place {
            offset: self.offset,
            line: self.line,
        }
    }

    /// The next line without its end, which is a `part` of the text.
    fn next(&mut self, part: &'static str) -> Result<(Place, &'a str), TextGraphError> {
        let place = self.here();
        let Some((line, rest)) = self.rest.split_once('\n') else {
            return Err(place.fault(TextGraphFault::End { part }));
        };
        self.rest = rest;
        self.left -= 1;
        self.offset += line.len() + 1;
        self.line += 1;
        Ok((place, line))
    }

    fn store_path(&mut self, part: &'static str) -> Result<StorePath, TextGraphError> {
        let (place, line) = self.next(part)?;
        StorePath::parse(line).map_err(|source| place.fault(TextGraphFault::Path { part, source }))
    }
}

impl Place {
    fn fault(self, source: TextGraphFault) -> TextGraphError {
        TextGraphError {
            offset: self.offset,
            line: self.line,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::error::Chain;

    fn path(letter: char) -> String {
        format!("/nix/store/{}-{letter}", letter.to_string().repeat(32))
    }

    /// A graph of paths with what they refer to.
    fn text(paths: &[(char, &str)]) -> String {
        let mut text = String::new();
        for (letter, references) in paths {
            writeln!(text, "{}\n\n{}", path(*letter), references.len()).unwrap();
            for reference in references.chars() {
                writeln!(text, "{}", path(reference)).unwrap();
            }
        }
        text
    }

    /// What [`text`] was made of.
    fn read(text: &[u8]) -> Vec<(String, Vec<String>)> {
        parse_text_graph(text)
            .unwrap()
            .into_iter()
            .map(|member| {
                assert!(matches!(member.content, Content::Live));
                assert_eq!((member.nar, member.ca), (None, None));
                let references = member.references.iter().map(ToString::to_string);
                (member.path.to_string(), references.collect())
            })
            .collect()
    }

    fn fault(text: impl AsRef<[u8]>) -> (usize, usize, TextGraphFault) {
        let error = parse_text_graph(text.as_ref()).unwrap_err();
        (error.offset, error.line, error.source)
    }

    #[test]
    fn a_graph_is_read_in_its_order_with_references_sorted_and_each_once() {
        let graph = text(&[('b', "bab"), ('a', "")]);
        assert_eq!(
            read(graph.as_bytes()),
            [(path('b'), vec![path('a'), path('b')]), (path('a'), vec![])]
        );
        assert_eq!(read(b""), []);
    }

    #[test]
    fn a_deriver_is_checked_and_dropped() {
        let deriver = path('d') + "-a.drv";
        let graph = format!("{}\n{deriver}\n0\n", path('a'));
        assert_eq!(read(graph.as_bytes()), [(path('a'), vec![])]);
        let (offset, line, fault) = fault(format!("{}\na.drv\n0\n", path('a')));
        assert_eq!((offset, line), (path('a').len() + 1, 2));
        assert!(matches!(
            fault,
            TextGraphFault::Path {
                part: "deriver",
                ..
            }
        ));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_byte_and_line() {
        let good = text(&[('a', "a")]);
        let (bytes, second) = (good.len(), 5);
        let no_path = |text: String| match fault(text) {
            (offset, line, TextGraphFault::Path { part, .. }) => (offset, line, part),
            other => panic!("{other:?}"),
        };
        let outside = no_path(good.clone() + "/tmp/x\n\n0\n");
        assert_eq!(outside, (bytes, second, "store path"));
        let outside = no_path(format!("{}\n\n1\n/tmp/x\n", path('a')));
        assert_eq!(outside, (49, 4, "reference"));
        for number in ["", "-1", "+1", "1 ", "0x1", "18446744073709551616"] {
            let text = number.into();
            assert_eq!(
                fault(format!("{}\n\n{number}\n", path('a'))),
                (47, 3, TextGraphFault::NotANumber { text })
            );
        }
        assert_eq!(
            fault(good.repeat(2)),
            (
                bytes,
                second,
                TextGraphFault::Twice {
                    path: StorePath::parse(&path('a')).unwrap()
                }
            )
        );
        let mut bytes = good.into_bytes();
        bytes[50] = 0xff;
        assert_eq!(fault(bytes), (50, 4, TextGraphFault::NotText));
    }

    #[test]
    fn a_count_beyond_the_text_is_refused_before_anything_is_kept() {
        for count in [2, u64::MAX] {
            let graph = format!("{}\n\n{count}\n{}\n", path('a'), path('a'));
            let lines = 1;
            assert_eq!(
                fault(graph),
                (47, 3, TextGraphFault::TooMany { count, lines })
            );
        }
    }

    #[test]
    fn a_registration_is_told_from_a_graph() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let base32 = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        for hash in [hex, base32] {
            let registration = format!("{}\n{hash}\n112\n\n0\n", path('a'));
            let error = parse_text_graph(registration.as_bytes()).unwrap_err();
            assert_eq!((error.offset, error.line), (46, 2));
            assert_eq!(
                Chain(&error).to_string(),
                format!(
                    "the text graph is wrong at byte 46 (line 2): {hash:?} is a hash, and so this looks like a registration (closureInfo's, or of nix-store --dump-db); give the text that exportReferencesGraph writes, or what nix-store --export prints"
                )
            );
        }
    }

    #[test]
    fn a_graph_that_is_cut_off_is_an_error_but_between_paths() {
        let paths = [('a', "ab"), ('b', ""), ('c', "a")];
        let whole = text(&paths);
        let ends: Vec<_> = (0..=paths.len())
            .map(|count| text(&paths[..count]).len())
            .collect();
        for end in 0..=whole.len() {
            let read = parse_text_graph(&whole.as_bytes()[..end]);
            match ends.iter().position(|boundary| *boundary == end) {
                Some(count) => assert_eq!(read.unwrap().len(), count),
                None => assert!(read.unwrap_err().offset <= end, "cut at {end}"),
            }
        }
        assert_eq!(fault("/nix"), (0, 1, TextGraphFault::CutLine));
        let missing = |part| TextGraphFault::End { part };
        assert_eq!(fault(path('a') + "\n"), (46, 2, missing("deriver")));
        let no_count = fault(path('a') + "\n\n");
        assert_eq!(no_count, (47, 3, missing("number of references")));
    }

    #[test]
    fn twenty_thousand_paths_are_read_in_one_pass() {
        let digits = "0123456789abcdfghijklmnpqrsvwxyz".as_bytes();
        let name = |number: usize| {
            let digit = |place: usize| char::from(digits[number >> (5 * place) & 31]);
            let hash: String = (0..32).map(|place| digit(place % 4)).collect();
            format!("/nix/store/{hash}-{number}")
        };
        let mut graph = String::new();
        for number in 0..20_000 {
            let (path, next) = (name(number), name(number + 1));
            writeln!(graph, "{path}\n\n2\n{path}\n{next}").unwrap();
        }
        assert_eq!(read(graph.as_bytes()).len(), 20_000);
    }

    proptest! {
        #[test]
        fn any_graph_reads_as_it_was_written(
            paths in proptest::collection::btree_map("[abcd]", "[abcd]{0,6}", 0..4),
        ) {
            let paths: Vec<_> = paths
                .iter()
                .map(|(letter, references)| (letter.chars().next().unwrap(), &**references))
                .collect();
            let expected: Vec<_> = paths
                .iter()
                .map(|(letter, references)| {
                    let references: BTreeSet<_> = references.chars().map(path).collect();
                    (path(*letter), references.into_iter().collect::<Vec<_>>())
                })
                .collect();
            prop_assert_eq!(read(text(&paths).as_bytes()), expected);
        }

        #[test]
        fn any_bytes_are_a_graph_or_an_error_within_them(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Err(error) = parse_text_graph(&bytes) {
                prop_assert!(error.offset <= bytes.len());
            }
        }

        #[test]
        fn a_changed_graph_is_a_graph_or_an_error_within_it(
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = text(&[('a', "ab"), ('b', "")]).into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Err(error) = parse_text_graph(&bytes) {
                prop_assert!(error.offset <= bytes.len());
            }
        }
    }
}
