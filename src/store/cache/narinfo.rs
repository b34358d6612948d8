//! `HASH.narinfo`: what a binary cache knows of a store path.
//!
//! Lines of `Key: value`, as `NarInfo::to_string` in Nix's `nar-info.cc` writes them.
//! `Deriver` and `Sig` are dropped, and keys that we do not know are ignored.

use crate::store::{NarDigest, NarHash, NarHashError, StorePath, StorePathError};

/// What is of use in a narinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narinfo {
    /// The store path.
    pub path: StorePath,
    /// The file with its NAR: a path below the cache, without `.` and `..`.
    pub url: String,
    /// What that file is compressed with.
    pub compression: Compression,
    /// The SHA-256 of that file, if it is given.
    pub file_hash: Option<NarHash>,
    /// The bytes of that file, if they are given.
    pub file_size: Option<u64>,
    /// Its NAR.
    pub nar: NarDigest,
    /// What it refers to, in order, each once; itself only if it does.
    pub references: Vec<StorePath>,
    /// The content address, if it has one.
    pub ca: Option<String>,
}

/// How the file with a NAR is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// As zstd.
    Zstd,
    /// As xz.
    Xz,
}

/// Text that is no narinfo, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is wrong at byte {offset} (line {line})")]
pub struct NarinfoError {
    /// Bytes from the start.
    pub offset: usize,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub source: NarinfoFault,
}

/// What is wrong with a narinfo.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarinfoFault {
    /// Bytes that are no text.
    #[error("a byte is not UTF-8")]
    NotText,
    /// A line of another form.
    #[error("{line:?} is no `Key: value`")]
    Line {
        /// The line.
        line: String,
    },
    /// The last line has no end.
    #[error("the last line does not end with a newline; was the file cut off?")]
    CutLine,
    /// A key that may be there once.
    #[error("{key} is there twice")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// A key that must be there.
    #[error("{key} is missing, or has no value; was the file cut off?")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// Compressed as we cannot read.
    #[error(
        "the compression is {compression}; none, zstd and xz can be read: copy the closure with `nix copy --to 'file:///DIRECTORY?compression=zstd'`"
    )]
    Compression {
        /// The compression.
        compression: String,
    },
    /// A value that is no store path.
    #[error("{key} names no store path")]
    Path {
        /// The key.
        key: &'static str,
        /// The reason.
        source: StorePathError,
    },
    /// A place outside the cache.
    #[error(
        "URL is {url:?}, and not a path of a file below the cache, as \"nar/HASH.nar.zst\" would be"
    )]
    Url {
        /// The value.
        url: String,
    },
    /// A value that is no hash of a NAR.
    #[error("NarHash is wrong")]
    NarHash(#[source] NarHashError),
    /// A value that is no SHA-256.
    #[error("FileHash is {text:?}, and no hash of a file, as \"sha256:\" and 52 digits would be")]
    FileHash {
        /// The value.
        text: String,
    },
    /// A value that is no number.
    #[error("{key} is {text:?}, and no number of bytes")]
    Number {
        /// The key.
        key: &'static str,
        /// The value.
        text: String,
    },
}

/// Reads a narinfo.
pub fn parse_narinfo(text: &[u8]) -> Result<Narinfo, NarinfoError> {
    let keys = parse_keys(text)?;
    Ok(Narinfo {
        path: keys.store_path()?,
        url: keys.url()?,
        compression: keys.compression()?,
        file_hash: keys.file_hash()?,
        file_size: keys.number("FileSize")?,
        nar: NarDigest {
            hash: keys.nar_hash()?,
            size: keys
                .number("NarSize")?
                .ok_or_else(|| keys.missing("NarSize"))?,
        },
        references: keys.references()?,
        ca: keys.value("CA").map(|ca| ca.text.into()),
    })
}

/// The keys that may be there once.
const KEYS: [&str; 10] = [
    "StorePath",
    "URL",
    "Compression",
    "FileHash",
    "FileSize",
    "NarHash",
    "NarSize",
    "References",
    "Deriver",
    "CA",
];

/// The values of [`KEYS`], and where the text ends.
struct Keys<'a> {
    values: [Option<Value<'a>>; KEYS.len()],
    end: Place,
}

#[derive(Clone, Copy)]
struct Value<'a> {
    text: &'a str,
    place: Place,
}

/// A byte, and the line that it is in.
#[derive(Clone, Copy)]
struct Place {
    offset: usize,
    line: usize,
}

fn parse_keys(bytes: &[u8]) -> Result<Keys<'_>, NarinfoError> {
    let mut end = Place { offset: 0, line: 1 };
    let mut values = [None; KEYS.len()];
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = str::from_utf8(line)
            .map_err(|error| end.after(error.valid_up_to()).fault(NarinfoFault::NotText))?;
        // Without it a number that is cut off would be another number.
        let text = text
            .strip_suffix('\n')
            .ok_or_else(|| end.fault(NarinfoFault::CutLine))?;
        let (key, value) = text
            .split_once(':')
            .ok_or_else(|| end.fault(NarinfoFault::Line { line: text.into() }))?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        let value = Value {
            text: value,
            place: end.after(text.len() - value.len()),
        };
        if let Some(index) = KEYS.iter().position(|known| *known == key) {
            if values[index].is_some() {
                return Err(end.fault(NarinfoFault::Twice { key: KEYS[index] }));
            }
            values[index] = Some(value);
        }
        end = Place {
            offset: end.offset + line.len(),
            line: end.line + 1,
        };
    }
    Ok(Keys { values, end })
}

impl<'a> Keys<'a> {
    /// The value of `key`, one of [`KEYS`], which may be empty.
    fn find(&self, key: &'static str) -> Option<Value<'a>> {
        let index = KEYS.iter().position(|known| *known == key);
        self.values[index.expect("it is one of KEYS")]
    }

    /// The value of `key`, unless it is empty.
    fn value(&self, key: &'static str) -> Option<Value<'a>> {
        self.find(key).filter(|value| !value.text.is_empty())
    }

    fn required(&self, key: &'static str) -> Result<Value<'a>, NarinfoError> {
        self.value(key).ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &'static str) -> NarinfoError {
        self.end.fault(NarinfoFault::Missing { key })
    }

    fn store_path(&self) -> Result<StorePath, NarinfoError> {
        let key = "StorePath";
        let value = self.required(key)?;
        StorePath::parse(value.text)
            .map_err(|source| value.place.fault(NarinfoFault::Path { key, source }))
    }

    /// The key must be there, though Nix does not ask for it: without it a narinfo that is
    /// cut off would lose references in silence.
    fn references(&self) -> Result<Vec<StorePath>, NarinfoError> {
        let key = "References";
        let value = self.find(key).ok_or_else(|| self.missing(key))?;
        let mut references = Vec::new();
        let mut offset = 0;
        for name in value.text.split(' ') {
            if !name.is_empty() {
                references.push(StorePath::from_base_name(name).map_err(|source| {
                    let place = value.place.after(offset);
                    place.fault(NarinfoFault::Path { key, source })
                })?);
            }
            offset += name.len() + 1;
        }
        references.sort();
        references.dedup();
        Ok(references)
    }

    fn url(&self) -> Result<String, NarinfoError> {
        let value = self.required("URL")?;
        let url = String::from(value.text);
        let leaves = |part: &str| matches!(part, "" | "." | "..");
        // A colon is a scheme's, and what follows `?` or `#` is no part of a path.
        if url.split('/').any(leaves) || url.contains([':', '?', '#', '\\', '\0']) {
            return Err(value.place.fault(NarinfoFault::Url { url }));
        }
        Ok(url)
    }

    fn compression(&self) -> Result<Compression, NarinfoError> {
        let (place, compression) = match self.value("Compression") {
            Some(value) => (value.place, value.text),
            None => (
                self.end,
                "not given, and so bzip2 for Nix", // `nar-info.cc`
            ),
        };
        match compression {
            "none" => Ok(Compression::None),
            "zstd" => Ok(Compression::Zstd),
            "xz" => Ok(Compression::Xz),
            _ => Err(place.fault(NarinfoFault::Compression {
                compression: compression.into(),
            })),
        }
    }

    fn nar_hash(&self) -> Result<NarHash, NarinfoError> {
        let value = self.required("NarHash")?;
        let hash = value.text.parse();
        hash.map_err(|error| value.place.fault(NarinfoFault::NarHash(error)))
    }

    /// Nothing if another algorithm made it: Nix does not need it, and nor do we.
    fn file_hash(&self) -> Result<Option<NarHash>, NarinfoError> {
        let Some(value) = self.value("FileHash") else {
            return Ok(None);
        };
        match value.text.split_once([':', '-']) {
            Some((algorithm, _)) if algorithm != "sha256" => Ok(None),
            _ => value.text.parse().map(Some).map_err(|_| {
                let text = value.text.into();
                value.place.fault(NarinfoFault::FileHash { text })
            }),
        }
    }

    fn number(&self, key: &'static str) -> Result<Option<u64>, NarinfoError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let digits = value.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| value.text.parse().ok()).flatten();
        number.map(Some).ok_or_else(|| {
            let text = value.text.into();
            value.place.fault(NarinfoFault::Number { key, text })
        })
    }
}

impl Place {
    /// Some bytes later in the same line.
    fn after(self, bytes: usize) -> Self {
        Self {
            offset: self.offset + bytes,
            ..self
        }
    }

    fn fault(self, source: NarinfoFault) -> NarinfoError {
        NarinfoError {
            offset: self.offset,
            line: self.line,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Chain;

    /// What Nix 2.8 wrote.
    const NARINFO: &str = "\
StorePath: /nix/store/9vk12rjy12nlkvyphblbc53qq71rg6ik-src
URL: nar/0h86v9fx77iy5w8rqa0hjnha0knpqn3cvxgmg4rv2q0mv10hmw63.nar.zst
Compression: zstd
FileHash: sha256:0h86v9fx77iy5w8rqa0hjnha0knpqn3cvxgmg4rv2q0mv10hmw63
FileSize: 244
NarHash: sha256:1lrygni0znz3pbq8km6781ai90icpbhir6x8x2i45k7jlyirbwgg
NarSize: 300832
References: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b 9vk12rjy12nlkvyphblbc53qq71rg6ik-src
Deriver: dddddddddddddddddddddddddddddddd-src.drv
Sig: one:AA==
Sig: two:AA==
CA: fixed:r:sha256:1lrygni0znz3pbq8km6781ai90icpbhir6x8x2i45k7jlyirbwgg
";

    fn hash(text: &str) -> NarHash {
        text.parse().unwrap()
    }

    /// The narinfo with the value of `key` in its place, or without the key.
    fn with(key: &str, value: Option<&str>) -> String {
        let line = |line: &str| match value {
            Some(value) if line.starts_with(&format!("{key}: ")) => format!("{key}: {value}\n"),
            None if line.starts_with(&format!("{key}: ")) => String::new(),
            _ => line.into(),
        };
        NARINFO.split_inclusive('\n').map(line).collect()
    }

    fn fault(text: &str) -> NarinfoFault {
        parse_narinfo(text.as_bytes()).unwrap_err().source
    }

    #[test]
    fn what_nix_writes_is_read_and_derivers_and_signatures_are_dropped() {
        let file_hash = "sha256:0h86v9fx77iy5w8rqa0hjnha0knpqn3cvxgmg4rv2q0mv10hmw63";
        let nar_hash = "sha256:1lrygni0znz3pbq8km6781ai90icpbhir6x8x2i45k7jlyirbwgg";
        let path = |name: &str| StorePath::from_base_name(name).unwrap();
        let src = path("9vk12rjy12nlkvyphblbc53qq71rg6ik-src");
        assert_eq!(
            parse_narinfo(NARINFO.as_bytes()).unwrap(),
            Narinfo {
                path: src.clone(),
                url: "nar/0h86v9fx77iy5w8rqa0hjnha0knpqn3cvxgmg4rv2q0mv10hmw63.nar.zst".into(),
                compression: Compression::Zstd,
                file_hash: Some(hash(file_hash)),
                file_size: Some(244),
                nar: NarDigest {
                    hash: hash(nar_hash),
                    size: 300_832
                },
                references: vec![src, path("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b")],
                ca: Some(format!("fixed:r:{nar_hash}")),
            }
        );
    }

    #[test]
    fn what_need_not_be_there_may_be_missing_or_empty() {
        for value in [None, Some("")] {
            for key in ["FileHash", "FileSize", "Deriver", "Sig", "CA"] {
                assert!(parse_narinfo(with(key, value).as_bytes()).is_ok(), "{key}");
            }
            for key in ["StorePath", "URL", "NarHash", "NarSize"] {
                assert_eq!(fault(&with(key, value)), NarinfoFault::Missing { key });
            }
        }
        let later = format!("{NARINFO}Of a later Nix: a: b\nSystem:\n");
        assert!(parse_narinfo(later.as_bytes()).is_ok());
    }

    #[test]
    fn references_may_be_none_but_not_missing() {
        let none = with("References", Some(""));
        for text in [none.replace("References: ", "References:"), none] {
            assert_eq!(parse_narinfo(text.as_bytes()).unwrap().references, []);
        }
        let key = "References";
        assert_eq!(fault(&with(key, None)), NarinfoFault::Missing { key });
    }

    #[test]
    fn a_hash_of_a_file_may_be_hex_or_of_an_algorithm_that_is_ignored() {
        let hex = format!("sha256:{}", "0f".repeat(32));
        let read = |value: &str| {
            let text = with("FileHash", Some(value));
            parse_narinfo(text.as_bytes()).unwrap().file_hash
        };
        assert_eq!(read(&hex), Some(NarHash([15; 32])));
        for other in ["sha512:x", "blake3-x", "md5:00"] {
            assert_eq!(read(other), None);
        }
        for text in ["sha256:x", "0f", "sha256-"] {
            let text = String::from(text);
            let fault = fault(&with("FileHash", Some(&text)));
            assert_eq!(fault, NarinfoFault::FileHash { text });
        }
    }

    #[test]
    fn a_compression_that_is_missing_or_unknown_is_told_with_those_that_are_known() {
        for (value, told) in [
            (None, "not given, and so bzip2 for Nix"),
            (Some(""), "not given, and so bzip2 for Nix"),
            (Some("bzip2"), "bzip2"),
            (Some("br"), "br"),
            (Some("gzip"), "gzip"),
        ] {
            let fault = fault(&with("Compression", value));
            let compression = told.into();
            assert_eq!(fault, NarinfoFault::Compression { compression });
            assert!(fault.to_string().contains("none, zstd and xz can be read"));
        }
        for (value, compression) in [("none", Compression::None), ("xz", Compression::Xz)] {
            let text = with("Compression", Some(value));
            let narinfo = parse_narinfo(text.as_bytes()).unwrap();
            assert_eq!(narinfo.compression, compression);
        }
    }

    #[test]
    fn a_url_that_may_leave_the_cache_is_refused() {
        for url in [
            "/etc/passwd",
            "../x.nar",
            "nar/../../x.nar",
            "nar/..",
            "./x.nar",
            "nar//x.nar",
            "nar/",
            "https://example.org/x.nar",
            "file:x.nar",
            "nar/x.nar?y",
            "nar/x.nar#y",
            "nar\\x.nar",
            "nar/\0",
        ] {
            let url = String::from(url);
            assert_eq!(fault(&with("URL", Some(&url))), NarinfoFault::Url { url });
        }
        for url in ["x.nar", "nar/..x", "a/b/c d"] {
            let text = with("URL", Some(url));
            assert_eq!(parse_narinfo(text.as_bytes()).unwrap().url, url);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_byte_and_line() {
        let wrong = with("References", Some("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b  x"));
        let error = parse_narinfo(wrong.as_bytes()).unwrap_err();
        assert_eq!(error.offset, wrong.find("  x\n").unwrap() + 2);
        assert_eq!(
            Chain(&error).to_string(),
            format!(
                "it is wrong at byte {} (line 8): References names no store path: \"x\" has no 32 characters of hash and a dash before its name; a hash is written in 0-9 and a-z without e, o, t, u",
                error.offset
            )
        );
        for key in ["FileSize", "NarSize"] {
            for value in ["-1", "+1", "1 ", "x", "18446744073709551616"] {
                let text = value.into();
                let wrong = with(key, Some(value));
                let error = parse_narinfo(wrong.as_bytes()).unwrap_err();
                assert_eq!(error.source, NarinfoFault::Number { key, text });
                assert!(wrong[error.offset..].starts_with(value), "{key} {value}");
            }
        }
        let twice = format!("{NARINFO}CA: x\n");
        assert_eq!(fault(&twice), NarinfoFault::Twice { key: "CA" });
        let line = "no key".into();
        let no_key = format!("{NARINFO}no key\n");
        assert_eq!(fault(&no_key), NarinfoFault::Line { line });
        let elsewhere = with("StorePath", Some("/tmp/x"));
        assert!(matches!(fault(&elsewhere), NarinfoFault::Path { .. }));
        assert!(matches!(
            fault(&with("NarHash", Some("sha512:x"))),
            NarinfoFault::NarHash(_)
        ));
        let error = parse_narinfo(b"Sig: x\nSig: \xff\n").unwrap_err();
        assert_eq!((error.offset, error.line), (12, 2));
        assert_eq!(error.source, NarinfoFault::NotText);
    }

    #[test]
    fn a_narinfo_that_is_cut_off_is_an_error_or_lacks_only_what_need_not_be_there() {
        let whole = parse_narinfo(NARINFO.as_bytes()).unwrap();
        let needed = NARINFO.find("Deriver").unwrap();
        for end in 0..NARINFO.len() {
            match parse_narinfo(&NARINFO.as_bytes()[..end]) {
                Ok(cut) => {
                    assert!(
                        end >= needed && NARINFO[..end].ends_with('\n'),
                        "cut at {end}"
                    );
                    assert_eq!(
                        (cut.nar, cut.references),
                        (whole.nar, whole.references.clone())
                    );
                }
                Err(error) => assert!(error.offset <= end, "cut at {end}"),
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_narinfo_or_an_error_within_them(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Err(error) = parse_narinfo(&bytes) {
                prop_assert!(error.offset <= bytes.len());
            }
        }

        #[test]
        fn a_changed_narinfo_is_a_narinfo_or_an_error_within_it(
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = NARINFO.as_bytes().to_vec();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Err(error) = parse_narinfo(&bytes) {
                prop_assert!(error.offset <= bytes.len());
            }
        }
    }
}
