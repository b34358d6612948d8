//! What an image says of its own store: the registration and the database.
//!
//! Both hold hashes, which may be known only when all contents have been copied. Their
//! lengths are known before, so that they have a place, and their bytes come late.

use std::sync::Arc;

use crate::source::{Late, Source};
use crate::store::{self, DatabaseError, ValidPath};
use crate::tree::Timestamp;

/// How the records of some paths are written.
type Encode = Box<dyn Fn(&[ValidPath]) -> Result<Vec<u8>, DatabaseError>>;

/// Records that are in an image, and may not have their bytes yet.
pub struct Records {
    /// What is known of the paths. Hashes may be missing, sizes are not.
    draft: Vec<ValidPath>,
    /// Whether no hash is missing.
    is_final: bool,
    late: Vec<(Arc<Late>, Encode)>,
}

impl Records {
    /// Records of paths of which `draft` is known; all of it if it `is_final`.
    #[must_use]
    pub fn new(draft: Vec<ValidPath>, is_final: bool) -> Self {
        Self {
            draft,
            is_final,
            late: Vec::new(),
        }
    }

    /// The content of `/nix-path-registration`.
    pub fn registration(&mut self) -> Result<Source, DatabaseError> {
        self.record(Box::new(|paths| Ok(store::registration(paths))))
    }

    /// The content of `db.sqlite`, in which every path was registered at `time`.
    pub fn database(&mut self, time: Timestamp) -> Result<Source, DatabaseError> {
        self.record(Box::new(move |paths| {
            store::encode_database(paths.iter(), time.seconds)
        }))
    }

    fn record(&mut self, encode: Encode) -> Result<Source, DatabaseError> {
        let bytes = encode(&self.draft)?;
        if self.is_final {
            return Ok(Source::bytes(bytes));
        }
        let (source, late) = Source::late(bytes.len() as u64);
        self.late.push((late, encode));
        Ok(source)
    }

    /// Gives the records that are late their bytes: all is known now.
    pub fn settle(&self, paths: &[ValidPath]) -> Result<(), DatabaseError> {
        for (late, encode) in &self.late {
            late.set(encode(paths)?);
        }
        Ok(())
    }
}
