//! What a database says.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Statement};

use super::DatabaseFault;
use crate::store::{NarDigest, NarHash, StorePath, ValidPath};

/// Refuses a database whose two tables are something else by these names: a view or a virtual
/// table has as many rows as it likes, and a generated column is made by a program.
pub(super) fn check_tables(connection: &Connection) -> Result<(), DatabaseFault> {
    for table in ["ValidPaths", "Refs"] {
        let is_plain: bool = connection.query_row(
            "select exists (select 1 from pragma_table_list where schema = 'main' and name = ?1 collate nocase and type = 'table') \
             and not exists (select 1 from pragma_table_xinfo(?1) where hidden != 0)",
            [table],
            |row| row.get(0),
        )?;
        if !is_plain {
            return Err(DatabaseFault::Table { table });
        }
    }
    Ok(())
}

/// All paths that are valid.
pub(super) fn valid_paths(
    connection: &Connection,
) -> Result<BTreeMap<StorePath, NarDigest>, DatabaseFault> {
    let mut statement = connection.prepare("select path, hash, narSize from ValidPaths")?;
    let mut rows = statement.query(())?;
    let mut paths = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let path = StorePath::parse(text(row, 0)?)?;
        let nar = nar_digest(row, &path)?;
        // A page that is in the tree many times would give its rows as often.
        match paths.entry(path) {
            Entry::Vacant(entry) => entry.insert(nar),
            Entry::Occupied(entry) => {
                return Err(DatabaseFault::Twice {
                    path: entry.key().clone(),
                });
            }
        };
    }
    Ok(paths)
}

/// All that `roots` refer to, in order.
pub(super) fn closure(
    connection: &Connection,
    roots: &[StorePath],
) -> Result<Vec<ValidPath>, DatabaseFault> {
    let mut select = Select::from(connection)?;
    let mut ids = roots
        .iter()
        .map(|root| {
            select
                .id(root)?
                .ok_or_else(|| DatabaseFault::NotValid { path: root.clone() })
        })
        .collect::<Result<Vec<_>, DatabaseFault>>()?;
    let mut found = BTreeMap::new();
    while let Some(id) = ids.pop() {
        if found.contains_key(&id) {
            continue;
        }
        let references = select.references(id)?;
        ids.extend(references.values());
        found.insert(id, select.valid_path(id, references.into_keys().collect())?);
    }
    let mut closure: Vec<_> = found.into_values().collect();
    closure.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(closure)
}

/// The statements that ask for one path, prepared once.
pub(super) struct Select<'c> {
    id: Statement<'c>,
    valid_path: Statement<'c>,
    references: Statement<'c>,
}

impl<'c> Select<'c> {
    pub(super) fn from(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            id: connection.prepare("select id from ValidPaths where path = ?1")?,
            valid_path: connection
                .prepare("select path, hash, narSize, ca from ValidPaths where id = ?1")?,
            // A reference to no row must not go unseen.
            references: connection.prepare(
                "select path, reference from Refs left join ValidPaths on id = reference where referrer = ?1",
            )?,
        })
    }

    /// The id of `path`, if it is valid.
    pub(super) fn id(&mut self, path: &StorePath) -> rusqlite::Result<Option<i64>> {
        self.id
            .query_row([path.to_string()], |row| row.get(0))
            .optional()
    }

    /// The path with the id `id`, to which its references are added.
    pub(super) fn valid_path(
        &mut self,
        id: i64,
        references: Vec<StorePath>,
    ) -> Result<ValidPath, DatabaseFault> {
        let mut rows = self.valid_path.query([id])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let path = StorePath::parse(text(row, 0)?)?;
        let nar = nar_digest(row, &path)?;
        Ok(ValidPath {
            nar_hash: nar.hash,
            nar_size: nar.size,
            references,
            ca: row.get(3)?,
            path,
        })
    }

    /// What the path with the id `id` refers to, with its ids.
    fn references(&mut self, id: i64) -> Result<BTreeMap<StorePath, i64>, DatabaseFault> {
        let mut rows = self.references.query([id])?;
        let mut references = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let path = StorePath::parse(text(row, 0)?)?;
            if references.insert(path.clone(), row.get(1)?).is_some() {
                return Err(DatabaseFault::Twice { path });
            }
        }
        Ok(references)
    }
}

/// Hash and size from the columns 1 and 2. As for Nix, a size that is NULL is 0.
fn nar_digest(row: &Row<'_>, path: &StorePath) -> Result<NarDigest, DatabaseFault> {
    let hash = text(row, 1)?.parse::<NarHash>();
    let size = row.get::<_, Option<i64>>(2)?.unwrap_or_default();
    Ok(NarDigest {
        hash: hash.map_err(|source| DatabaseFault::Hash {
            path: path.clone(),
            source,
        })?,
        size: u64::try_from(size).map_err(|_| DatabaseFault::Size {
            path: path.clone(),
            size: size.into(),
        })?,
    })
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    let value = row.get_ref(column)?;
    value.as_str().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}
