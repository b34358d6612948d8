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
mod tests;
