//! NAR, the form in which Nix hashes a store path.
//!
//! A NAR is one node of a filesystem, written so that equal content has equal bytes:
//! there is no owner, time or mode but the executable bit, and no padding but zeros.
//!
//! Encoding: every token is a string, and a string is its length in bytes as a
//! little-endian `u64`, the bytes, and zeros up to a multiple of 8.
//!
//! ```text
//! nar       = "nix-archive-1" node
//! node      = "(" "type" ( regular | symlink | directory ) ")"
//! regular   = "regular" [ "executable" "" ] [ "contents" content ]
//! symlink   = "symlink" "target" target
//! directory = "directory" { "entry" "(" "name" name "node" node ")" }
//! ```
//!
//! Restrictions, and who enforces them here:
//!
//! - A name is not empty, neither `.` nor `..`, and holds no `/` and no NUL; it has at
//!   most 255 bytes. [`Writer::entry`] refuses another, by [`Name`].
//! - Names rise strictly in byte order. [`Writer::entry`] refuses what does not.
//! - A content has the length that stands before it. [`Writer::file`] refuses another.
//! - A target is not empty and holds no NUL. [`Writer::symlink`] refuses another.
//! - One node and nothing after it: the order of events, which is the caller's duty;
//!   each event panics where the grammar has no place for it.
//!
//! Source: Dolstra's thesis, figure 5.2, and Nix's `archive.cc`, which writes
//! `contents` for an empty file too; so does this.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{NarHash, ScanError, scan};
use crate::source::Origin;
use crate::tree::{Kind, Name, NameError, NodeId, Timestamp, Tree};

/// The token that begins every NAR.
const MAGIC: &[u8] = b"nix-archive-1";

/// Strings are padded to a multiple of this many bytes.
const ALIGNMENT: usize = 8;

/// What no NAR holds, or a NAR that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// Bytes that are no name.
    #[error("a NAR cannot hold this name")]
    Name(#[from] NameError),
    /// Names that do not rise.
    #[error("{name:?} follows {previous:?}; names of a NAR rise strictly in byte order")]
    Order {
        /// The name of the entry before.
        previous: Name,
        /// The name.
        name: Name,
    },
    /// A content that is shorter or longer than was said.
    #[error("a file has {} bytes, not the {expected} of before", if *longer { format!("more than {found}") } else { found.to_string() })]
    Length {
        /// Bytes that were promised.
        expected: u64,
        /// Bytes that came.
        found: u64,
        /// Whether there are more of them.
        longer: bool,
    },
    /// A target that is empty or holds a NUL byte.
    #[error("{target:?} is no target of a symlink; one has a byte at least, and no NUL")]
    Target {
        /// The target, for reading.
        target: String,
    },
    /// A content could not be read.
    #[error("cannot read a file's content")]
    Read(#[source] io::Error),
    /// The NAR could not be written.
    #[error("cannot write a NAR")]
    Write(#[source] io::Error),
}

/// Writes a NAR, event by event, and holds nothing of it but the last name of each
/// directory that is open. It writes small pieces: give it a buffered writer.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    place: Place,
    /// The directories that are open, with the last name in each.
    open: Vec<Option<Name>>,
}

/// What the grammar has next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Node,
    EntryOrEnd,
    End,
}

impl<W: Write> Writer<W> {
    /// Begins a NAR.
    pub fn new(to: W) -> Result<Self, NarError> {
        let mut writer = Self {
            to,
            place: Place::Node,
            open: Vec::new(),
        };
        writer.strings(&[MAGIC])?;
        Ok(writer)
    }

    /// Begins a directory: its entries follow, then its end.
    ///
    /// # Panics
    ///
    /// If no node comes here.
    pub fn begin_directory(&mut self) -> Result<(), NarError> {
        self.expect(Place::Node);
        self.open.push(None);
        self.place = Place::EntryOrEnd;
        self.strings(&[b"(", b"type", b"directory"])
    }

    /// Names the node that comes next.
    ///
    /// # Panics
    ///
    /// If no entry comes here.
    pub fn entry(&mut self, name: &[u8]) -> Result<(), NarError> {
        self.expect(Place::EntryOrEnd);
        let name = Name::new(name)?;
        let last = self.open.last_mut().expect("an entry is in a directory");
        if let Some(previous) = last.take_if(|previous| *previous >= name) {
            return Err(NarError::Order { previous, name });
        }
        *last = Some(name.clone());
        self.place = Place::Node;
        self.strings(&[b"entry", b"(", b"name", name.as_bytes(), b"node"])
    }

    /// Ends the directory that began last.
    ///
    /// # Panics
    ///
    /// If no directory can end here.
    pub fn end_directory(&mut self) -> Result<(), NarError> {
        self.expect(Place::EntryOrEnd);
        self.open.pop().expect("an end follows a beginning");
        self.strings(&[b")"])?;
        self.end_node()
    }

    /// A regular file, whose `content` has exactly `length` bytes.
    ///
    /// # Panics
    ///
    /// If no node comes here.
    pub fn file(
        &mut self,
        executable: bool,
        length: u64,
        mut content: impl Read,
    ) -> Result<(), NarError> {
        self.expect(Place::Node);
        self.strings(&[b"(", b"type", b"regular"])?;
        if executable {
            self.strings(&[b"executable", b""])?;
        }
        self.strings(&[b"contents"])?;
        self.bytes(&length.to_le_bytes())?;
        let found = self.copy(content.by_ref().take(length))?;
        let longer = found == length && has_more(content)?;
        if found != length || longer {
            return Err(NarError::Length {
                expected: length,
                found,
                longer,
            });
        }
        self.pad(length)?;
        self.strings(&[b")"])?;
        self.end_node()
    }

    /// A symbolic link.
    ///
    /// # Panics
    ///
    /// If no node comes here.
    pub fn symlink(&mut self, target: &[u8]) -> Result<(), NarError> {
        self.expect(Place::Node);
        if target.is_empty() || target.contains(&0) {
            return Err(NarError::Target {
                target: String::from_utf8_lossy(target).into_owned(),
            });
        }
        self.strings(&[b"(", b"type", b"symlink", b"target", target, b")"])?;
        self.end_node()
    }

    /// Gives back what was written to, unflushed.
    ///
    /// # Panics
    ///
    /// If the NAR is not complete.
    pub fn finish(self) -> W {
        self.expect(Place::End);
        self.to
    }

    fn expect(&self, place: Place) {
        assert_eq!(self.place, place, "a NAR has its events in another order");
    }

    fn end_node(&mut self) -> Result<(), NarError> {
        if self.open.is_empty() {
            self.place = Place::End;
            return Ok(());
        }
        self.place = Place::EntryOrEnd;
        self.strings(&[b")"])
    }

    fn strings(&mut self, strings: &[&[u8]]) -> Result<(), NarError> {
        for string in strings {
            let length = string.len() as u64;
            self.bytes(&length.to_le_bytes())?;
            self.bytes(string)?;
            self.pad(length)?;
        }
        Ok(())
    }

    fn pad(&mut self, length: u64) -> Result<(), NarError> {
        let over = usize::try_from(length % ALIGNMENT as u64).expect("a remainder is small");
        let padding = over.next_multiple_of(ALIGNMENT) - over;
        self.bytes(&[0; ALIGNMENT][..padding])
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), NarError> {
        self.to.write_all(bytes).map_err(NarError::Write)
    }

    /// Writes all of `content` and tells how many bytes it had.
    fn copy(&mut self, mut content: impl Read) -> Result<u64, NarError> {
        let mut buffer = vec![0; 64 << 10];
        let mut copied = 0;
        loop {
            let read = read_some(&mut content, &mut buffer)?;
            if read == 0 {
                return Ok(copied);
            }
            self.bytes(&buffer[..read])?;
            copied += read as u64;
        }
    }
}

fn has_more(mut content: impl Read) -> Result<bool, NarError> {
    Ok(read_some(&mut content, &mut [0])? > 0)
}

fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, NarError> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(NarError::Read),
        }
    }
}

/// Takes a NAR and keeps its hash and its size.
#[derive(Clone, Debug, Default)]
pub struct HashingWriter {
    hash: Sha256,
    size: u64,
}

impl HashingWriter {
    /// The hash of the bytes so far, and their number.
    #[must_use]
    pub fn finish(self) -> (NarHash, u64) {
        (NarHash(self.hash.finalize().into()), self.size)
    }
}

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
    use std::ffi::OsStr;
    use std::fs::{self, Permissions};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn dumped(path: &Path) -> Vec<u8> {
        let mut nar = Vec::new();
        dump(path, &mut nar).unwrap();
        nar
    }

    fn output_of(command: &str, arguments: &[&str], path: &Path) -> Vec<u8> {
        let output = Command::new(command)
            .args(arguments)
            .arg(path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// A directory of everything that a NAR can hold.
    fn sample() -> tempfile::TempDir {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path();
        fs::create_dir_all(top.join("b/empty")).unwrap();
        fs::write(top.join("a"), "").unwrap();
        fs::write(top.join("B"), "12345678").unwrap();
        fs::write(top.join(OsStr::from_bytes(b"\xff \n\"")), "123").unwrap();
        fs::write(top.join("b/run"), vec![0; 200_000]).unwrap();
        fs::set_permissions(top.join("b/run"), Permissions::from_mode(0o755)).unwrap();
        symlink("../a", top.join("b/link")).unwrap();
        temporary
    }

    #[test]
    fn a_file_has_its_bytes_as_nix_has_them() {
        let mut writer = Writer::new(Vec::new()).unwrap();
        writer.file(true, 2, &b"hi"[..]).unwrap();
        let expected = b"\
            \x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0\
            \x01\0\0\0\0\0\0\0(\0\0\0\0\0\0\0\
            \x04\0\0\0\0\0\0\0type\0\0\0\0\
            \x07\0\0\0\0\0\0\0regular\0\
            \x0a\0\0\0\0\0\0\0executable\0\0\0\0\0\0\
            \0\0\0\0\0\0\0\0\
            \x08\0\0\0\0\0\0\0contents\
            \x02\0\0\0\0\0\0\0hi\0\0\0\0\0\0\
            \x01\0\0\0\0\0\0\0)\0\0\0\0\0\0\0";
        assert_eq!(writer.finish(), expected);
    }

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

    #[test]
    fn what_no_nar_holds_is_refused() {
        let mut writer = Writer::new(io::sink()).unwrap();
        writer.begin_directory().unwrap();
        writer.entry(b"b").unwrap();
        writer.file(false, 0, io::empty()).unwrap();
        assert!(matches!(
            writer.entry(b".."),
            Err(NarError::Name(NameError::Reserved("..")))
        ));
        assert!(matches!(writer.entry(b"B"), Err(NarError::Order { .. })));

        let file = |content: &[u8]| Writer::new(io::sink()).unwrap().file(false, 3, content);
        assert!(matches!(
            file(b"12"),
            Err(NarError::Length {
                found: 2,
                longer: false,
                ..
            })
        ));
        assert!(matches!(
            file(b"1234"),
            Err(NarError::Length { longer: true, .. })
        ));
        let symlink = |target| Writer::new(io::sink()).unwrap().symlink(target);
        assert!(matches!(symlink(b""), Err(NarError::Target { .. })));
        assert!(matches!(symlink(b"a\0"), Err(NarError::Target { .. })));
    }

    #[test]
    #[should_panic(expected = "a NAR has its events in another order")]
    fn an_event_out_of_place_is_a_fault_of_the_caller() {
        let mut writer = Writer::new(io::sink()).unwrap();
        writer.begin_directory().unwrap();
        writer.finish();
    }

    #[derive(Clone, Debug)]
    enum Sample {
        File(bool, Vec<u8>),
        Symlink(String),
        Directory(std::collections::BTreeMap<String, Sample>),
    }

    fn samples() -> impl Strategy<Value = Sample> {
        let name = "[ -.0-~é]{1,9}".prop_filter("a name", |name| Name::new(name).is_ok());
        let leaf = prop_oneof![
            (any::<bool>(), vec(any::<u8>(), 0..30))
                .prop_map(|(x, content)| Sample::File(x, content)),
            "[ -~]{1,20}".prop_map(Sample::Symlink),
        ];
        leaf.prop_recursive(4, 24, 5, move |inner| {
            btree_map(name.clone(), inner, 0..5).prop_map(Sample::Directory)
        })
    }

    fn make(sample: &Sample, path: &Path) {
        match sample {
            Sample::File(executable, content) => {
                fs::write(path, content).unwrap();
                let mode = if *executable { 0o755 } else { 0o644 };
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
            Sample::Symlink(target) => symlink(target, path).unwrap(),
            Sample::Directory(entries) => {
                fs::create_dir(path).unwrap();
                for (name, entry) in entries {
                    make(entry, &path.join(name));
                }
            }
        }
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
