//! Writing a NAR, event by event.

use std::fmt;
use std::io::{self, Read, Write};

use ring::digest::{Context, SHA256};

use super::MAGIC;
use crate::store::NarHash;
use crate::store::stream::{ALIGNMENT, padding_of};
use crate::tree::{Name, NameError};

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
    /// Of a file that has `expected` bytes; `left` of them are yet to come.
    Content {
        expected: u64,
        left: u64,
    },
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

    /// Begins a regular file of `length` bytes: its content follows, then its end.
    ///
    /// # Panics
    ///
    /// If no node comes here.
    pub fn begin_file(&mut self, executable: bool, length: u64) -> Result<(), NarError> {
        self.expect(Place::Node);
        self.place = Place::Content {
            expected: length,
            left: length,
        };
        self.strings(&[b"(", b"type", b"regular"])?;
        if executable {
            self.strings(&[b"executable", b""])?;
        }
        self.strings(&[b"contents"])?;
        self.bytes(&length.to_le_bytes())
    }

    /// The next bytes of the file that began last: never more of them than it has.
    ///
    /// # Panics
    ///
    /// If no file has begun.
    pub fn content(&mut self, bytes: &[u8]) -> Result<(), NarError> {
        let (expected, left) = self.file_in_progress();
        let Some(left) = left.checked_sub(bytes.len() as u64) else {
            return Err(too_long(expected));
        };
        self.place = Place::Content { expected, left };
        self.bytes(bytes)
    }

    /// Ends the file that began last.
    ///
    /// # Panics
    ///
    /// If no file has begun.
    pub fn end_file(&mut self) -> Result<(), NarError> {
        let (expected, left) = self.file_in_progress();
        if left > 0 {
            return Err(NarError::Length {
                expected,
                found: expected - left,
                longer: false,
            });
        }
        self.pad(expected)?;
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
        self.begin_file(executable, length)?;
        self.copy(content.by_ref().take(length))?;
        self.end_file()?;
        if has_more(content)? {
            return Err(too_long(length));
        }
        Ok(())
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

    /// The bytes of the file that has begun, and how many of them are yet to come.
    fn file_in_progress(&self) -> (u64, u64) {
        match self.place {
            Place::Content { expected, left } => (expected, left),
            place => panic!("a NAR has its events in another order: {place:?} comes here"),
        }
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
        let padding = usize::try_from(padding_of(length)).expect("padding is short");
        self.bytes(&[0; ALIGNMENT][..padding])
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), NarError> {
        self.to.write_all(bytes).map_err(NarError::Write)
    }

    fn copy(&mut self, mut from: impl Read) -> Result<(), NarError> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = read_some(&mut from, &mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            self.content(&buffer[..read])?;
        }
    }
}

fn too_long(expected: u64) -> NarError {
    NarError::Length {
        expected,
        found: expected,
        longer: true,
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
#[derive(Clone)]
pub struct HashingWriter {
    hash: Context,
    size: u64,
}

impl Default for HashingWriter {
    fn default() -> Self {
        Self {
            hash: Context::new(&SHA256),
            size: 0,
        }
    }
}

impl fmt::Debug for HashingWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashingWriter")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl HashingWriter {
    /// The hash of the bytes so far, and their number.
    #[must_use]
    pub fn finish(self) -> (NarHash, u64) {
        (self.hash.into(), self.size)
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_file_in_pieces_is_the_file_as_a_whole() {
        let mut whole = Writer::new(Vec::new()).unwrap();
        whole.file(false, 11, &b"hello world"[..]).unwrap();
        let mut pieces = Writer::new(Vec::new()).unwrap();
        pieces.begin_file(false, 11).unwrap();
        for piece in ["hello", "", " world"] {
            pieces.content(piece.as_bytes()).unwrap();
        }
        pieces.end_file().unwrap();
        assert_eq!(pieces.finish(), whole.finish());
    }

    #[test]
    fn pieces_are_neither_more_nor_fewer_than_promised() {
        let mut writer = Writer::new(Vec::new()).unwrap();
        writer.begin_file(false, 3).unwrap();
        writer.content(b"12").unwrap();
        assert!(matches!(
            writer.content(b"34"),
            Err(NarError::Length {
                expected: 3,
                longer: true,
                ..
            })
        ));
        assert!(matches!(
            writer.end_file(),
            Err(NarError::Length {
                expected: 3,
                found: 2,
                longer: false,
            })
        ));
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

    #[test]
    #[should_panic(expected = "a NAR has its events in another order")]
    fn a_content_is_in_a_file() {
        let _ = Writer::new(io::sink()).unwrap().content(b"");
    }
}
