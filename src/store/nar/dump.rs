//! The NAR of a path of the host.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::walk::{Event, walk};
use super::{HashingWriter, MAGIC, NarError, Writer};
use crate::source::Source;
use crate::store::stream::ALIGNMENT;
use crate::store::{NarHash, ScanError, scan};
use crate::tree::{Timestamp, Tree};

/// Why a path of the host has no NAR.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// It could not be scanned.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A part of it could not be written.
    #[error("cannot make a NAR of {}", path.display())]
    Nar {
        /// The path that was asked for.
        path: PathBuf,
        /// The reason.
        source: NarError,
    },
}

/// The hash and size of the NAR of a path of the host: what `nix-store --dump` gives.
pub fn nar_hash(path: &Path) -> Result<(NarHash, u64), DumpError> {
    let mut hashing = HashingWriter::default();
    dump(path, &mut hashing)?;
    Ok(hashing.finish())
}

/// Writes the NAR of a path of the host: what `nix-store --dump` gives.
pub fn dump(path: &Path, to: impl Write) -> Result<(), DumpError> {
    let tree = scan(path, Timestamp::from_seconds(0))?;
    write_tree(&tree, to).map_err(|source| DumpError::Nar {
        path: path.into(),
        source,
    })
}

/// Writes the tree of a store path.
pub(crate) fn write_tree(tree: &Tree, to: impl Write) -> Result<(), NarError> {
    let mut writer = Writer::new(to)?;
    for event in walk(tree) {
        match event {
            Event::BeginDirectory => writer.begin_directory(),
            Event::Entry(name) => writer.entry(name.as_bytes()),
            Event::File {
                executable, source, ..
            } => writer.file(executable, source.length, Reader { source, at: 0 }),
            Event::Symlink(target) => writer.symlink(target),
            Event::EndDirectory => writer.end_directory(),
        }?;
    }
    writer.finish();
    Ok(())
}

/// Bytes of the NAR of a tree, without a look at contents.
///
/// # Panics
///
/// At a node that no NAR can hold.
pub(crate) fn size(tree: &Tree) -> u64 {
    let token = |length: u64| 8 + length.next_multiple_of(ALIGNMENT as u64);
    let tokens =
        |tokens: &[&str]| -> u64 { tokens.iter().map(|text| token(text.len() as u64)).sum() };
    let mut size: u64 = token(MAGIC.len() as u64);
    for event in walk(tree) {
        size += match event {
            Event::BeginDirectory => tokens(&["(", "type", "directory", ")"]),
            Event::Entry(name) => {
                tokens(&["entry", "(", "name", "node", ")"]) + token(name.as_bytes().len() as u64)
            }
            Event::File {
                executable, source, ..
            } => {
                let marks = if executable {
                    ["executable", ""].as_slice()
                } else {
                    &[]
                };
                tokens(&["(", "type", "regular", "contents", ")"])
                    + tokens(marks)
                    + token(source.length)
            }
            Event::Symlink(target) => {
                tokens(&["(", "type", "symlink", "target", ")"]) + token(target.len() as u64)
            }
            Event::EndDirectory => 0,
        };
    }
    size
}

/// The bytes of a source, from the first on.
struct Reader<'a> {
    source: &'a Source,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.source.length - self.at).unwrap_or(usize::MAX);
        let length = left.min(bytes.len());
        if length > 0 {
            self.source
                .read_at(self.at, &mut bytes[..length])
                .map_err(io::Error::other)?;
        }
        self.at += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::nar::samples::{dumped, make, output_of, sample, samples};

    #[test]
    fn a_nar_is_what_nix_store_dumps() {
        let sample = sample();
        for path in ["", "a", "B", "b/link", "b"] {
            let path = sample.path().join(path);
            assert_eq!(dumped(&path), output_of("nix-store", &["--dump"], &path));
        }
    }

    #[test]
    fn a_hash_is_what_nix_hash_prints() {
        let sample = sample();
        let (hash, size) = nar_hash(sample.path()).unwrap();
        let printed = output_of("nix-hash", &["--type", "sha256", "--base32"], sample.path());
        assert_eq!(
            hash.to_base32(),
            String::from_utf8_lossy(&printed).trim_end()
        );
        assert_eq!(size, dumped(sample.path()).len() as u64);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_nar_is_what_nix_nar_makes_of_any_tree(sample in samples()) {
            let temporary = tempfile::tempdir().unwrap();
            let path = temporary.path().join("top");
            make(&sample, &path);
            let mut expected = Vec::new();
            nix_nar::Encoder::new(&path).unwrap().read_to_end(&mut expected).unwrap();
            prop_assert_eq!(dumped(&path), expected);
        }
    }
}
