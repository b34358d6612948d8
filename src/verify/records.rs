//! What an image says of its own store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use ext4_view::Ext4Error;

use super::Fault;
use crate::inspect::{Ext4Files, FilesFault, resolve};
use crate::job::{Job, Stopped};
use crate::store::{
    DATABASE_NAME, Database, DatabaseError, DatabaseFault, NarDigest, REGISTRATION_NAME,
    RegistrationError, SCHEMA_VERSION_NAME, StorePath, ValidPath, parse_registration,
};

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// A file cannot be found.
    #[error(transparent)]
    Find(#[from] FilesFault),
    /// The reader of ext4 stumbled.
    #[error("cannot read {path} in the image")]
    Read {
        /// Path in the image.
        path: String,
        /// The reader's reason.
        source: Ext4Error,
    },
    /// A file could not be copied out of the image.
    #[error(
        "cannot copy {path} out of the image, to a temporary directory; TMPDIR says where that is"
    )]
    Copy {
        /// Path in the image.
        path: String,
        /// The system's reason, or the reader's.
        source: io::Error,
    },
    /// A file is larger than the filesystem.
    #[error("{path} in the image is damaged: it has {bytes} bytes, more than the filesystem")]
    Large {
        /// Path in the image.
        path: String,
        /// Bytes that it has, as its inode says.
        bytes: u64,
    },
    /// The database is damaged.
    #[error("cannot {action} {DATABASE_DIRECTORY}/{DATABASE_NAME} of the image")]
    Database {
        /// `open` or `read`.
        action: &'static str,
        /// What is wrong.
        source: DatabaseFault,
    },
    /// The registration is damaged.
    #[error("cannot read /{REGISTRATION_NAME} in the image")]
    Registration(#[from] RegistrationError),
    /// Somebody asked to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What an image says of its own store: one of the two at least.
pub(super) struct Records {
    pub database: Option<BTreeMap<StorePath, ValidPath>>,
    pub registration: Option<BTreeMap<StorePath, ValidPath>>,
}

/// What is said of a path, by one of the two at least.
#[derive(Clone, Default)]
pub(super) struct Said {
    database: Option<ValidPath>,
    registration: Option<ValidPath>,
}

/// Where Nix has its database.
const DATABASE_DIRECTORY: &str = "/nix/var/nix/db";
/// What `SQLite` adds to the name of a database for the log of what was written last.
const LOG_SUFFIX: &str = "-wal";

impl Records {
    /// Reads them; nothing if there are none.
    pub(super) fn read(files: &Ext4Files, job: &Job) -> Result<Option<Self>, RecordsError> {
        let records = Self {
            database: database(files, job)?,
            registration: registration(files, job)?,
        };
        let are_any = records.database.is_some() || records.registration.is_some();
        Ok(are_any.then_some(records))
    }

    /// What they say, by the names of store paths.
    pub(super) fn by_name(&self) -> BTreeMap<&str, Said> {
        let mut said: BTreeMap<&str, Said> = BTreeMap::new();
        for (path, valid) in self.database.iter().flatten() {
            let said = said.entry(path.base_name()).or_default();
            said.database = Some(valid.clone());
        }
        for (path, valid) in self.registration.iter().flatten() {
            let said = said.entry(path.base_name()).or_default();
            said.registration = Some(valid.clone());
        }
        said
    }
}

impl Said {
    /// The NAR, as the database says, or else the registration.
    pub(super) fn digest(&self) -> NarDigest {
        let valid = self.database.as_ref().or(self.registration.as_ref());
        digest(valid.expect("one of the two says something of a path"))
    }

    /// Where the two say different things, if `records` has both of them.
    pub(super) fn disagreement(&self, records: &Records) -> Option<Fault> {
        if records.database.is_none() || records.registration.is_none() {
            return None;
        }
        let digests = [&self.database, &self.registration].map(|valid| valid.as_ref().map(digest));
        if digests[0] != digests[1] {
            let [database, registration] = digests;
            return Some(Fault::Disagreement {
                database,
                registration,
            });
        }
        let (database, registration) = (self.database.as_ref()?, self.registration.as_ref()?);
        let mut differ: Vec<StorePath> = Vec::new();
        let (one, other) = (&database.references, &registration.references);
        differ.extend(one.iter().filter(|path| !other.contains(path)).cloned());
        differ.extend(other.iter().filter(|path| !one.contains(path)).cloned());
        differ.sort();
        (!differ.is_empty()).then_some(Fault::References { differ })
    }
}

fn digest(valid: &ValidPath) -> NarDigest {
    NarDigest {
        hash: valid.nar_hash,
        size: valid.nar_size,
    }
}

/// What the database says. It is copied out, with what tells its version and with its log.
fn database(
    files: &Ext4Files,
    job: &Job,
) -> Result<Option<BTreeMap<StorePath, ValidPath>>, RecordsError> {
    let directory = tempfile::tempdir().map_err(|source| RecordsError::Copy {
        path: format!("{DATABASE_DIRECTORY}/{DATABASE_NAME}"),
        source,
    })?;
    let log = format!("{DATABASE_NAME}{LOG_SUFFIX}");
    for name in [DATABASE_NAME, SCHEMA_VERSION_NAME, &log] {
        let path = format!("{DATABASE_DIRECTORY}/{name}");
        if let Some(file) = find(files, path)? {
            file.copy(&directory.path().join(name), job)?;
        } else if name == DATABASE_NAME {
            return Ok(None);
        }
    }
    let database = Database::open_read_only(directory.path())?;
    let roots: Vec<_> = database.valid_paths()?.into_keys().collect();
    let valid = database.closure(&roots)?.into_iter();
    let by_path = valid.map(|valid| (valid.path.clone(), valid));
    Ok(Some(by_path.collect()))
}

/// What the registration says. An empty one says nothing: on SD cards whose root has a database
/// it tells the first boot that it is the first.
fn registration(
    files: &Ext4Files,
    job: &Job,
) -> Result<Option<BTreeMap<StorePath, ValidPath>>, RecordsError> {
    let Some(mut file) = find(files, format!("/{REGISTRATION_NAME}"))? else {
        return Ok(None);
    };
    let mut text = Vec::new();
    file.show(job, |bytes| {
        text.extend_from_slice(bytes);
        Ok(())
    })?;
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(parse_registration(&text)?))
}

impl From<DatabaseError> for RecordsError {
    /// Who reads of it knows nothing of the copy.
    fn from(error: DatabaseError) -> Self {
        let mut source = error.fault;
        if let DatabaseFault::Version { path, .. } | DatabaseFault::VersionFile { path, .. } =
            &mut source
        {
            *path = Path::new(DATABASE_DIRECTORY).join(SCHEMA_VERSION_NAME);
        }
        Self::Database {
            action: error.action,
            source,
        }
    }
}

/// A file of the image.
struct Found {
    /// Its path, as it was looked for.
    path: String,
    file: ext4_view::File,
}

/// The file at `path`, if there is one, and no larger than the filesystem.
fn find(files: &Ext4Files, path: String) -> Result<Option<Found>, RecordsError> {
    let place = match resolve(files, path.as_bytes(), true) {
        Ok(place) => place,
        Err(FilesFault::NotFound { .. }) => return Ok(None),
        Err(fault) => return Err(fault.into()),
    };
    let file = match files.open_file(&place) {
        Ok(file) => file,
        Err(source) => return Err(RecordsError::Read { path, source }),
    };
    let bytes = file.metadata().len();
    if bytes > files.bytes() {
        return Err(RecordsError::Large { path, bytes });
    }
    Ok(Some(Found { path, file }))
}

impl Found {
    /// Copies it out of the image.
    fn copy(mut self, to: &Path, job: &Job) -> Result<(), RecordsError> {
        let mut to = File::create_new(to).map_err(|source| RecordsError::Copy {
            path: self.path.clone(),
            source,
        })?;
        self.show(job, |bytes| to.write_all(bytes))
    }

    /// Shows its content to `with`, part by part.
    fn show(
        &mut self,
        job: &Job,
        mut with: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), RecordsError> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            job.check()?;
            let shown = self.file.read(&mut buffer).and_then(|length| {
                with(&buffer[..length])?;
                Ok(length)
            });
            match shown {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(source) => {
                    return Err(RecordsError::Copy {
                        path: self.path.clone(),
                        source,
                    });
                }
            }
        }
    }
}
