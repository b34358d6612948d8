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
//! Restrictions, and who enforces them here: [`Writer`] of its caller, [`read_tree`] of
//! the bytes that it reads.
//!
//! - A name is not empty, neither `.` nor `..`, and holds no `/` and no NUL; it has at
//!   most 255 bytes. [`Name`](crate::tree::Name), for both.
//! - Names rise strictly in byte order, so that none is there twice. Both.
//! - A content has the length that stands before it. [`Writer::end_file`]; a reader sees
//!   what follows it.
//! - A target is not empty and holds no NUL. Both. It has at most 4,095 bytes: reader.
//! - A path has at most [`MAX_PATH_LENGTH`] bytes, and so a node lies at most half as many
//!   directories deep. Reader. (The newest Nix refuses more than 64 of them, others do not.)
//! - Padding is zero. Reader.
//! - One node, and tokens in the order of the grammar: the writer panics on an event out of
//!   place. What follows the node is for the caller of the reader to judge.
//!
//! Source: Dolstra's thesis, figure 5.2, and Nix's `archive.cc`, which writes
//! `contents` for an empty file too; so does this. It reads a file without, as old Nix did.

mod dump;
mod read;
#[cfg(test)]
pub(super) mod samples;
mod writer;

pub use dump::{DumpError, dump, nar_hash};
pub(super) use read::read_tree_from;
pub use read::{MAX_PATH_LENGTH, NarReadError, read_tree};
pub use writer::{HashingWriter, NarError, Writer};

/// The token that begins every NAR.
const MAGIC: &[u8] = b"nix-archive-1";
