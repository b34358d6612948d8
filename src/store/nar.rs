//! NAR, the form in which Nix hashes a store path.

use std::io::{self, Read, Write};

/// Writes a NAR, event by event.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
}

impl<W: Write> Writer<W> {
    /// Begins a NAR.
    pub fn new(to: W) -> io::Result<Self> {
        Ok(Self { to })
    }

    /// Begins a directory; its entries follow.
    pub fn begin_directory(&mut self) -> io::Result<()> {
        todo!()
    }

    /// Names the node that comes next.
    pub fn entry(&mut self, _name: &[u8]) -> io::Result<()> {
        todo!()
    }

    /// Ends the directory that began last.
    pub fn end_directory(&mut self) -> io::Result<()> {
        todo!()
    }

    /// A regular file of `length` bytes.
    pub fn file(&mut self, _executable: bool, _length: u64, _content: impl Read) -> io::Result<()> {
        todo!()
    }

    /// A symbolic link.
    pub fn symlink(&mut self, _target: &[u8]) -> io::Result<()> {
        todo!()
    }

    /// Gives back what was written to, when the NAR is complete.
    pub fn finish(self) -> io::Result<W> {
        Ok(self.to)
    }
}
