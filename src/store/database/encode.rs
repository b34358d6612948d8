//! A new database as bytes.

use std::collections::BTreeMap;

use rusqlite::{Connection, MAIN_DB};

use super::insert::Insert;
use super::schema::{self, DATABASE_NAME};
use super::{DatabaseError, DatabaseFault};
use crate::store::{StorePath, ValidPath};

/// Bytes of a page: what `SQLite` takes by default, and a block of a filesystem.
const PAGE_SIZE: u32 = 4096;

/// The bytes of a new `db.sqlite` in which exactly `paths` are valid, which come in
/// order and refer to none but each other; all of them were registered at `time`, in
/// seconds from 1970.
///
/// They hang on nothing else, and their number not on the hashes: with a placeholder
/// for a hash that is not known yet, the database has the length that it will have.
pub fn encode_database<'a>(
    paths: impl Iterator<Item = &'a ValidPath>,
    time: i64,
) -> Result<Vec<u8>, DatabaseError> {
    encode(&paths.collect::<Vec<_>>(), time).map_err(|fault| DatabaseError {
        action: "make",
        path: DATABASE_NAME.into(),
        fault,
    })
}

fn encode(paths: &[&ValidPath], time: i64) -> Result<Vec<u8>, DatabaseFault> {
    let mut connection = Connection::open_in_memory()?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    // Nothing is written but memory, and nothing is ever taken back.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "journal_mode", "off")?;
    // No page keeps a second copy of what was moved to another.
    connection.pragma_update(None, "secure_delete", true)?;
    // `insert` finds each reference itself, and says more.
    connection.pragma_update(None, "foreign_keys", false)?;
    let transaction = connection.transaction()?;
    schema::create_tables(&transaction)?;
    insert(&transaction, paths, time)?;
    schema::create_indexes(&transaction)?;
    transaction.commit()?;
    Ok(connection.serialize(MAIN_DB)?.to_vec())
}

fn insert(connection: &Connection, paths: &[&ValidPath], time: i64) -> Result<(), DatabaseFault> {
    let mut insert = Insert::into(connection)?;
    let ids: BTreeMap<&StorePath, i64> = paths
        .iter()
        .map(|valid| Ok((&valid.path, insert.path(valid, time)?)))
        .collect::<Result<_, DatabaseFault>>()?;
    for valid in paths {
        for reference in &valid.references {
            let id = ids.get(reference).ok_or_else(|| DatabaseFault::Reference {
                path: valid.path.clone(),
                reference: reference.clone(),
            })?;
            insert.reference(ids[&valid.path], *id)?;
        }
    }
    Ok(())
}
