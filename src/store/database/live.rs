//! A database in a directory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::insert::Insert;
use super::read::{self, Select};
use super::schema::{self, DATABASE_NAME, SCHEMA_VERSION, SCHEMA_VERSION_NAME};
use super::{DatabaseError, DatabaseFault};
use crate::store::{NarDigest, StorePath, ValidPath};

/// How long to wait for others who write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// The most bytes that a value may say it has: some hundred are a path, a hash, signatures or
/// what a table is made of. `SQLite` allocates them before it looks where they should be.
const MOST_BYTES: i32 = 1 << 20;

/// Steps of `SQLite`'s virtual machine after which it is asked whether there were too many.
const STEPS_AT_ONCE: i32 = 10_000;
/// So many steps may be taken for each byte of a database, and as many as that of any. Two or
/// three for each byte read all of one; where a page is in a tree many times, there is no end.
const STEPS_PER_BYTE: u64 = 64;
const STEPS_OF_ANY: u64 = 10_000_000;

/// The database of a store, which others may read and write at the same time. Its
/// journal stays of the kind that it has: Nix uses WAL.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    /// The file.
    path: PathBuf,
    /// What the file was when it was opened, if it is read without locks.
    unlocked: Option<Stamp>,
}

impl Database {
    /// Opens the database in `directory` (`…/nix/var/nix/db`), which exists, for writing;
    /// makes an empty one, and the file that tells its version, if there is none.
    pub fn open_or_create(directory: &Path) -> Result<Self, DatabaseError> {
        let path = directory.join(DATABASE_NAME);
        open_or_create(directory, &path)
            .map_err(|fault| failure("open", &path, fault))
            .map(|connection| Self {
                connection,
                path,
                unlocked: None,
            })
    }

    /// Opens the database in `directory` (`…/nix/var/nix/db`) for reading only, be it in
    /// use or on a disk that nobody may write.
    ///
    /// A database with WAL can be read only with two files beside it, which its last user
    /// deletes. Who may not make them reads the database itself, without locks, and is
    /// told by an error if somebody wrote it meanwhile.
    pub fn open_read_only(directory: &Path) -> Result<Self, DatabaseError> {
        let path = directory.join(DATABASE_NAME);
        open_read_only(directory, &path)
            .map_err(|fault| failure("open", &path, fault))
            .map(|(connection, unlocked)| Self {
                connection,
                path,
                unlocked,
            })
    }

    /// All paths that are valid.
    pub fn valid_paths(&self) -> Result<BTreeMap<StorePath, NarDigest>, DatabaseError> {
        self.read(read::valid_paths)
    }

    /// All that `roots` refer to, they themselves too, in order. All of it was valid at
    /// one moment.
    pub fn closure(&self, roots: &[StorePath]) -> Result<Vec<ValidPath>, DatabaseError> {
        self.read(|connection| read::closure(connection, roots))
    }

    /// Makes `paths` valid, all or none, as registered at `time`, in seconds from 1970.
    ///
    /// A path that is valid already stays as it is. What `paths` refer to is valid or one
    /// of them, in any order.
    pub fn register(&mut self, paths: &[ValidPath], time: i64) -> Result<(), DatabaseError> {
        register(&mut self.connection, paths, time)
            .map_err(|fault| failure("write", &self.path, fault))
    }

    /// What `read` finds, all of it at one moment.
    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, DatabaseFault>,
    ) -> Result<T, DatabaseError> {
        let read = || {
            let transaction = self.connection.unchecked_transaction()?;
            let found = read(&transaction);
            let is_as_it_was = |stamp: &Stamp| {
                !has_wal(&self.path) && Stamp::of(&self.path).is_ok_and(|now| now == *stamp)
            };
            if !self.unlocked.as_ref().is_none_or(is_as_it_was) {
                return Err(DatabaseFault::Changed);
            }
            found
        };
        read().map_err(|fault| failure("read", &self.path, fault))
    }
}

fn failure(action: &'static str, path: &Path, fault: DatabaseFault) -> DatabaseError {
    DatabaseError {
        action,
        path: path.into(),
        fault,
    }
}

fn open_or_create(directory: &Path, path: &Path) -> Result<Connection, DatabaseFault> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let is_new = !has_version(directory)?;
    if is_new {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    } else {
        check_there(path)?;
    }
    let mut connection = open(path, flags)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if is_new {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        schema::create_tables(&transaction)?;
        schema::create_indexes(&transaction)?;
        transaction.commit()?;
        write_version(directory)?;
    }
    Ok(connection)
}

fn open_read_only(
    directory: &Path,
    path: &Path,
) -> Result<(Connection, Option<Stamp>), DatabaseFault> {
    has_version(directory)?;
    check_there(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open_limited(path, path, flags)?;
    let Err(error) = try_to_read(&connection) else {
        read::check_tables(&connection)?;
        return Ok((connection, None));
    };
    let stamp = Stamp::of(path).ok().filter(|_| !has_wal(path));
    match (error.sqlite_error_code(), stamp) {
        (Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly), Some(stamp)) => {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            let connection = open_limited(Path::new(&immutable_uri(path)), path, flags)?;
            try_to_read(&connection)?;
            read::check_tables(&connection)?;
            Ok((connection, Some(stamp)))
        }
        _ => Err(error.into()),
    }
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MOST_BYTES)?;
    Ok(connection)
}

/// Opens `name`, which is the file at `path`, for somebody who will not read it without end.
fn open_limited(name: &Path, path: &Path, flags: OpenFlags) -> Result<Connection, DatabaseFault> {
    let mut connection = open(name, flags)?;
    let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bytes = length(path).saturating_add(length(&wal_of(path)));
    let mut left = bytes.saturating_mul(STEPS_PER_BYTE).max(STEPS_OF_ANY);
    connection.progress_handler(
        STEPS_AT_ONCE,
        Some(move || {
            left = left.saturating_sub(u64::from(STEPS_AT_ONCE.unsigned_abs()));
            left == 0
        }),
    )?;
    Ok(connection)
}

/// `SQLite` opens its files when they are read first. Nothing that the file itself says is run.
fn try_to_read(connection: &Connection) -> rusqlite::Result<()> {
    for config in [
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
    ] {
        connection.set_db_config(config, false)?;
    }
    connection.query_row("select count(*) from sqlite_schema", (), |_| Ok(()))
}

/// `SQLite` does not say why it cannot open a file.
fn check_there(path: &Path) -> Result<(), DatabaseFault> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DatabaseFault::NoFile),
        // It says what else is wrong.
        _ => Ok(()),
    }
}

/// Whether `directory` has a database of the version that is known here; an error if it
/// has one of another.
fn has_version(directory: &Path) -> Result<bool, DatabaseFault> {
    let path = directory.join(SCHEMA_VERSION_NAME);
    let mut found = Vec::new();
    // One of an image may have any length.
    let read = File::open(&path).and_then(|file| file.take(32).read_to_end(&mut found));
    match read.map(|_| found) {
        Ok(found) if found == SCHEMA_VERSION.as_bytes() => Ok(true),
        Ok(found) => Err(DatabaseFault::Version {
            path,
            found: String::from_utf8_lossy(&found).into_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(DatabaseFault::VersionFile {
            action: "read",
            path,
            source,
        }),
    }
}

/// Tells the version, when the tables are there. Who is killed here leaves no half of it.
fn write_version(directory: &Path) -> Result<(), DatabaseFault> {
    let path = directory.join(SCHEMA_VERSION_NAME);
    let new = directory.join(format!("{SCHEMA_VERSION_NAME}.new"));
    fs::write(&new, SCHEMA_VERSION)
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|source| DatabaseFault::VersionFile {
            action: "write",
            path,
            source,
        })
}

fn register(
    connection: &mut Connection,
    paths: &[ValidPath],
    time: i64,
) -> Result<(), DatabaseFault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    register_within(&transaction, paths, time)?;
    Ok(transaction.commit()?)
}

fn register_within(
    connection: &Connection,
    paths: &[ValidPath],
    time: i64,
) -> Result<(), DatabaseFault> {
    let mut select = Select::from(connection)?;
    let mut insert = Insert::into(connection)?;
    let mut added = Vec::new();
    for valid in paths {
        match select.id(&valid.path)? {
            Some(id) => check_hash(&select.valid_path(id, Vec::new())?, valid)?,
            None => added.push((insert.path(valid, time)?, valid)),
        }
    }
    for (id, valid) in added {
        for reference in &valid.references {
            let to = select
                .id(reference)?
                .ok_or_else(|| DatabaseFault::Reference {
                    path: valid.path.clone(),
                    reference: reference.clone(),
                })?;
            insert.reference(id, to)?;
        }
    }
    Ok(())
}

fn check_hash(recorded: &ValidPath, given: &ValidPath) -> Result<(), DatabaseFault> {
    if recorded.nar_hash == given.nar_hash {
        return Ok(());
    }
    Err(DatabaseFault::OtherHash {
        path: given.path.clone(),
        hashes: [recorded.nar_hash, given.nar_hash].into(),
    })
}

/// What differs of a file that was written.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    mtime: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            inode: metadata.ino(),
            length: metadata.len(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// Whether somebody uses the database at `path` with WAL, or was killed while he did; who
/// may not look must take it for so.
fn has_wal(path: &Path) -> bool {
    fs::exists(wal_of(path)).unwrap_or(true)
}

/// The log of the database at `path`.
fn wal_of(path: &Path) -> PathBuf {
    let mut wal = OsString::from(path);
    wal.push("-wal");
    wal.into()
}

/// The file at `path` as `SQLite` names one that nobody writes.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in OsStr::as_bytes(path.as_ref()) {
        match byte {
            b'/' => uri.push('/'),
            byte => write!(uri, "%{byte:02X}").expect("a string takes all"),
        }
    }
    uri + "?immutable=1"
}
