//! The store's database: which store paths are valid, with their hashes and references.
//!
//! ```text
//! /nix/var/nix/db/schema      the version of the tables, `10`, without a newline
//! /nix/var/nix/db/db.sqlite   `SQLite`: ValidPaths, Refs, DerivationOutputs
//! ```
//!
//! [`encode_database`] makes the bytes of a new one for an image; [`Database`] is one in a
//! directory, ours or a running Nix's. Nix keeps more there (`big-lock`, `reserved`), all
//! of which it makes when it is missing. Source: Nix, `schema.sql` and `local-store.cc`.

mod encode;
mod insert;
mod live;
mod read;
mod schema;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

pub use self::encode::encode_database;
pub use self::live::Database;
pub use self::schema::{DATABASE_NAME, SCHEMA_VERSION, SCHEMA_VERSION_NAME};
use super::{NarHash, NarHashError, StorePath, StorePathError};

/// A store's database that could not be made, read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the store database {}", path.display())]
pub struct DatabaseError {
    /// `make`, `open`, `read` or `write`.
    pub action: &'static str,
    /// The file; its name alone if it is being made for an image.
    pub path: PathBuf,
    /// What is wrong.
    #[source]
    pub fault: DatabaseFault,
}

/// What may be wrong with a store's database, or with what is to stand in it.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseFault {
    /// `SQLite` refused. Its error says all that its own cause says.
    #[error("{0}")]
    Sqlite(rusqlite::Error),
    /// There is none.
    #[error(
        "there is no such file; every Nix that has used a store leaves one, so is it the right directory?"
    )]
    NoFile,
    /// The file beside it that tells its version refused.
    #[error("cannot {action} {}", path.display())]
    VersionFile {
        /// `read` or `write`.
        action: &'static str,
        /// That file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Its tables are those of another Nix.
    #[error("{} says version {found:?}, and only {SCHEMA_VERSION:?} is known here; {}", path.display(), remedy(found))]
    Version {
        /// The file that tells the version.
        path: PathBuf,
        /// What it holds, for reading.
        found: String,
    },
    /// It changed while it was read as a file that nobody writes.
    #[error("somebody wrote it while it was read without locks; read it again, or as root")]
    Changed,
    /// A table of Nix's is missing, or something else by its name.
    #[error(
        "it has no table {table} as Nix makes it, without generated columns; it is damaged, or no store's database"
    )]
    Table {
        /// The table's name.
        table: &'static str,
    },
    /// It takes more steps to read than it has bytes for.
    #[error(
        "it is damaged: to read it has no end; `sqlite3 {DATABASE_NAME} 'pragma integrity_check'` says more"
    )]
    Endless,
    /// A path that is there once, or to which another refers once, and is read again.
    #[error(
        "it is damaged: {path} is read from it twice; `sqlite3 {DATABASE_NAME} 'pragma integrity_check'` says more"
    )]
    Twice {
        /// The path.
        path: StorePath,
    },
    /// A path that it holds is no store path.
    #[error(transparent)]
    Path(#[from] StorePathError),
    /// A hash that it holds is no hash of a NAR.
    #[error("{path} is recorded with a hash that cannot be read")]
    Hash {
        /// The path.
        path: StorePath,
        /// The reason.
        source: NarHashError,
    },
    /// A size below zero, or one that `SQLite` cannot hold.
    #[error(
        "the NAR of {path} has {size} bytes, which is not within 0 to {}",
        i64::MAX
    )]
    Size {
        /// The path.
        path: StorePath,
        /// The number.
        size: i128,
    },
    /// A path is valid with another content.
    #[error(
        "{path} is valid with the hash {}, and is to be registered with {}; the two stores hold different builds of it, so delete one",
        hashes[0], hashes[1]
    )]
    OtherHash {
        /// The path.
        path: StorePath,
        /// In the database, and to be registered.
        hashes: Box<[NarHash; 2]>,
    },
    /// A path refers to one that is not valid.
    #[error("{path} refers to {reference}, which is not valid; register the whole closure")]
    Reference {
        /// The path that refers.
        path: StorePath,
        /// The path that is missing.
        reference: StorePath,
    },
    /// A path whose closure is asked for is not there.
    #[error("{path} is not valid in it; build or copy it first")]
    NotValid {
        /// The path.
        path: StorePath,
    },
}

/// What to do with a store whose tables have the version `found`.
fn remedy(found: &str) -> &'static str {
    let ours = SCHEMA_VERSION.parse::<u32>().ok();
    match found.trim().parse::<u32>() {
        Ok(version) if ours.is_some_and(|ours| version < ours) => {
            "let a Nix of version 2 or later open the store once"
        }
        Ok(_) => "look for a newer nix2image",
        Err(_) => "it is damaged, or no store's",
    }
}

impl From<rusqlite::Error> for DatabaseFault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // By nobody but who counts the steps.
            Some(ErrorCode::OperationInterrupted) => Self::Endless,
            _ => Self::Sqlite(error),
        }
    }
}
