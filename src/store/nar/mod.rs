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
//! - A content has the length that stands before it. [`Writer::file`] and
//!   [`Writer::end_file`] refuse another.
//! - A target is not empty and holds no NUL. [`Writer::symlink`] refuses another.
//! - One node and nothing after it: the order of events, which is the caller's duty;
//!   each event panics where the grammar has no place for it.
//!
//! Source: Dolstra's thesis, figure 5.2, and Nix's `archive.cc`, which writes
//! `contents` for an empty file too; so does this.

mod dump;
#[cfg(test)]
pub(crate) mod samples;
mod walk;
mod writer;

pub use dump::{DumpError, dump, nar_hash};
pub(crate) use dump::{size, write_tree};
pub(crate) use walk::{Event, walk};
pub use writer::{HashingWriter, NarError, Writer};

/// The token that begins every NAR.
const MAGIC: &[u8] = b"nix-archive-1";

/// Strings are padded to a multiple of this many bytes.
const ALIGNMENT: usize = 8;
