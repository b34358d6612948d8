//! A directory of the host: the other end for a tree.
//!
//! [`Directory`] is one that is open. Whatever is done in it is done relative to it and by
//! one name, and no symlink is followed: a target that somebody else has filled
//! (`etc -> /etc`) cannot lead out of itself.
//!
//! - [`Directory::write_new`] writes a tree where nothing stands, in the order of a NAR, so
//!   that whoever hashes one can watch.
//! - [`Directory::replace`] puts a file or symlink in the place of another at one moment.
//! - [`Directory::ensure`] makes a directory where none is.
//! - [`Directory::remove`] removes whatever stands at a name.
//!
//! A node has its metadata when its last name is given, whatever the umask; a directory
//! that was filled gets its time last. Only root can give a file to another owner: others
//! leave that alone ([`Ownership`]).
//!
//! Directories stay open while what is in them is written or removed, so that trees may be
//! as deep as a process may have files open.

mod error;
mod handle;
mod metadata;
mod remove;
mod replace;
mod write;

#[cfg(test)]
mod tests;

pub use error::DirectoryError;
pub use handle::{Directory, Found};
pub use metadata::Ownership;
pub use write::Writing;
