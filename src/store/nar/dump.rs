//! The NAR of a path of the host.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{HashingWriter, NarError, Writer};
use crate::source::Origin;
use crate::store::{NarHash, ScanError, scan};
use crate::tree::{Kind, NodeId, Timestamp, Tree};

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

/// Writes a scanned tree, without recursion: depth costs no stack.
fn write_tree(tree: &Tree, to: impl Write) -> Result<(), NarError> {
    let mut writer = Writer::new(to)?;
    let mut open = Vec::new();
    let mut next = Some(Tree::ROOT);
    loop {
        if let Some(id) = next.take() {
            write_node(&mut writer, tree, id)?;
            if tree.node(id).is_directory() {
                open.push(tree.entries(id));
            }
        }
        let Some(entries) = open.last_mut() else {
            writer.finish();
            return Ok(());
        };
        if let Some((name, id)) = entries.next() {
            writer.entry(name.as_bytes())?;
            next = Some(id);
        } else {
            writer.end_directory()?;
            open.pop();
        }
    }
}

/// Writes a file or symlink, or begins a directory.
fn write_node(writer: &mut Writer<impl Write>, tree: &Tree, id: NodeId) -> Result<(), NarError> {
    let node = tree.node(id);
    match &node.kind {
        Kind::Directory(_) => writer.begin_directory(),
        Kind::Symlink(target) => writer.symlink(target),
        Kind::File(source) => {
            let Origin::HostFile(file) = &source.origin else {
                unreachable!("a scan gives whole files of the host")
            };
            let content = File::open(file.path()).map_err(NarError::Read)?;
            writer.file(node.metadata.mode & 0o100 != 0, source.length, content)
        }
        Kind::CharacterDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => {
            unreachable!("a scan gives no special files")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

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
