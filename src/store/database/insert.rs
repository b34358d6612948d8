//! Rows for a store path.

use rusqlite::{Connection, Statement};

use super::DatabaseFault;
use crate::store::ValidPath;

/// The statements that insert, prepared once.
pub(super) struct Insert<'c> {
    path: Statement<'c>,
    reference: Statement<'c>,
}

impl<'c> Insert<'c> {
    pub(super) fn into(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            path: connection.prepare(
                "insert into ValidPaths (path, hash, registrationTime, narSize, ca) values (?1, ?2, ?3, ?4, ?5)",
            )?,
            reference: connection
                .prepare("insert into Refs (referrer, reference) values (?1, ?2)")?,
        })
    }

    /// Makes `valid` valid, without its references; gives its id. Deriver, signatures
    /// and "built here" stay NULL: not every form of a closure knows them.
    pub(super) fn path(&mut self, valid: &ValidPath, time: i64) -> Result<i64, DatabaseFault> {
        let size = i64::try_from(valid.nar_size).map_err(|_| DatabaseFault::Size {
            path: valid.path.clone(),
            size: valid.nar_size.into(),
        })?;
        Ok(self.path.insert((
            valid.path.to_string(),
            format!("sha256:{}", valid.nar_hash.to_hex()),
            time,
            size,
            valid.ca.as_deref(),
        ))?)
    }

    /// Lets the path with the id `referrer` refer to that with the id `reference`.
    pub(super) fn reference(&mut self, referrer: i64, reference: i64) -> rusqlite::Result<()> {
        self.reference.execute((referrer, reference)).map(drop)
    }
}
