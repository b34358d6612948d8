//! The verification of an image: whether the store paths in it are those that it registers.
//!
//! An image says of its own store what each path is: in Nix's database, in
//! `/nix-path-registration`, or in both. Each path that is named there, or is there, is read by
//! a reader that is not ours, and its NAR is hashed, on all threads.

mod records;
mod show;

use std::collections::BTreeSet;
use std::path::Path;

use ext4_view::Ext4Error;
use rayon::prelude::*;

use crate::inspect::{
    Ext4Files, Ext4Volume, FilesFault, Filesystem, FilesystemFault, Image, InspectError,
    InspectFault, Part, WalkError, nar_digest, resolve,
};
use crate::job::{Job, Stopped};
use crate::progress::Progress;
use crate::store::{NarDigest, STORE_DIRECTORY, StorePath};
pub use records::RecordsError;
use records::{Records, Said};

/// Why an image cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be looked into.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The store is in no ext4 filesystem.
    #[error("{place} holds {filesystem}, and a store is in ext4; choose another partition")]
    NoExt4 {
        /// Where, as `partition 1`.
        place: String,
        /// What it holds.
        filesystem: &'static str,
    },
    /// The filesystem cannot be read.
    #[error("cannot verify the image")]
    Filesystem(#[source] FilesystemFault),
    /// A directory cannot be listed.
    #[error("cannot list {path} in the image")]
    List {
        /// Its path in the image.
        path: &'static str,
        /// The reader's reason.
        source: Ext4Error,
    },
    /// The store cannot be found.
    #[error("cannot find {STORE_DIRECTORY} in the image")]
    Find(#[source] FilesFault),
    /// What the image says of its store cannot be read.
    #[error("cannot read what the image says of its store")]
    Records(#[from] RecordsError),
    /// It has no store.
    #[error("the image has no {STORE_DIRECTORY}, so that there is nothing to verify")]
    NoStore,
    /// It is a store, and nothing more.
    #[error(
        "the image is a store by itself, with {paths} store paths at its top, and has neither a database nor a registration: there is nothing to verify it against"
    )]
    OnlyStore {
        /// Store paths at its top.
        paths: usize,
    },
    /// It has a store and says nothing of it.
    #[error(
        "the image has neither /nix/var/nix/db/db.sqlite nor a /nix-path-registration that is not empty: there is nothing to verify it against; build it with `registration = true`, or with the database of a root"
    )]
    NoRecords,
    /// Somebody asked to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What was found out of an image.
#[derive(Debug)]
pub struct Verification {
    /// Whether it has a database.
    pub has_database: bool,
    /// Whether it has a registration.
    pub has_registration: bool,
    /// Store paths that are there and as they are registered.
    pub right: usize,
    /// Bytes of the NARs of all paths that were hashed.
    pub nar_bytes: u64,
    /// What is not as it should be, in the order of paths.
    pub findings: Vec<Finding>,
}

/// Something that is not as it should be.
#[derive(Debug)]
pub struct Finding {
    /// Its path in the image: bytes.
    pub path: Vec<u8>,
    /// What is wrong.
    pub fault: Fault,
}

/// What may be wrong with a store path in an image.
#[derive(Debug)]
pub enum Fault {
    /// It is registered, and not there.
    Missing {
        /// Its NAR, as it is registered.
        expected: NarDigest,
    },
    /// It is there, and not registered.
    Extra {
        /// Its NAR; nothing if it has none.
        found: Option<NarDigest>,
    },
    /// It is another.
    Changed {
        /// Its NAR, as it is registered.
        expected: NarDigest,
        /// Its NAR.
        found: NarDigest,
    },
    /// It cannot be read, or is nothing that has a NAR.
    Unreadable {
        /// Its NAR, as it is registered.
        expected: NarDigest,
        /// Why not.
        error: WalkError,
    },
    /// Database and registration say different things of it.
    Disagreement {
        /// In the database; nothing if it is not there.
        database: Option<NarDigest>,
        /// In the registration; nothing if it is not there.
        registration: Option<NarDigest>,
    },
    /// They say that it refers to different paths.
    References {
        /// What is said by one of them alone.
        differ: Vec<StorePath>,
    },
}

/// A directory of Nix's own among the store paths: equal files that `nix-store --optimise`
/// found.
const LINKS: &[u8] = b".links";

/// Verifies the image at `path`, or the one in the directory there; in the partition of the
/// given number, else where the store is.
pub fn verify(
    path: &Path,
    partition: Option<u32>,
    job: &Job,
    progress: &Progress,
) -> Result<Verification, VerifyError> {
    progress.phase("opening");
    let image = Image::open(path, job)?;
    let opened = image.files(partition, job).map_err(not_ext4)?;
    let files = opened.ext4().ok_or_else(|| no_ext4(opened.part()))?;
    let store = match resolve(files, STORE_DIRECTORY.as_bytes(), true) {
        Ok(store) => store,
        Err(FilesFault::NotFound { .. }) => return Err(without_store(files)?),
        Err(fault) => return Err(VerifyError::Find(fault)),
    };
    let names = store_names(files, &store)?;
    let records = Records::read(files, job)?.ok_or(VerifyError::NoRecords)?;
    let candidates = candidates(&names, &records);
    progress.phase_of("hashing", candidates.iter().map(Candidate::nar_bytes).sum());
    let found = hash(&candidates, &store, files.volume(), job)?;
    Ok(conclude(&records, &candidates, found))
}

/// Of what is not read at all, that ext4 alone is looked for.
fn not_ext4(error: InspectError) -> VerifyError {
    match error.fault {
        InspectFault::NotRead { place, name } => VerifyError::NoExt4 {
            place: place.to_string(),
            filesystem: name.unwrap_or("nothing that is known"),
        },
        _ => error.into(),
    }
}

fn no_ext4(part: &Part) -> VerifyError {
    let filesystem = part.filesystem.as_ref();
    VerifyError::NoExt4 {
        place: part.place().to_string(),
        filesystem: filesystem.map_or("nothing that is known", Filesystem::name),
    }
}

/// The names in the directory `store`.
fn store_names(files: &Ext4Files, store: &[u8]) -> Result<BTreeSet<Vec<u8>>, VerifyError> {
    let path = STORE_DIRECTORY;
    let listed = files
        .files(store)
        .map_err(|source| VerifyError::List { path, source })?;
    let names = listed.into_iter().map(|file| file.name);
    Ok(names.filter(|name| name != LINKS).collect())
}

/// Why there is no store.
fn without_store(files: &Ext4Files) -> Result<VerifyError, VerifyError> {
    let path = "/";
    let listed = files
        .files(path.as_bytes())
        .map_err(|source| VerifyError::List { path, source })?;
    let is_store_path = |name: &[u8]| {
        let text = str::from_utf8(name);
        text.is_ok_and(|text| StorePath::from_base_name(text).is_ok())
    };
    Ok(
        match listed
            .iter()
            .filter(|file| is_store_path(&file.name))
            .count()
        {
            0 => VerifyError::NoStore,
            paths => VerifyError::OnlyStore { paths },
        },
    )
}

/// A name in the store, whether it is there, and what is said of it.
struct Candidate {
    name: Vec<u8>,
    is_there: bool,
    said: Option<Said>,
}

/// All that is there or registered, in the order of names.
fn candidates(names: &BTreeSet<Vec<u8>>, records: &Records) -> Vec<Candidate> {
    let said = records.by_name();
    let registered = said.keys().map(|name| name.as_bytes());
    let all: BTreeSet<&[u8]> = names.iter().map(Vec::as_slice).chain(registered).collect();
    let candidate = |name: &[u8]| Candidate {
        name: name.to_vec(),
        is_there: names.contains(name),
        said: str::from_utf8(name)
            .ok()
            .and_then(|name| said.get(name).cloned()),
    };
    all.into_iter().map(candidate).collect()
}

/// The NARs of all that is there, or why they have none, on all threads.
fn hash(
    candidates: &[Candidate],
    store: &[u8],
    volume: &Ext4Volume,
    job: &Job,
) -> Result<Vec<Option<Result<NarDigest, WalkError>>>, VerifyError> {
    // The reader stays on its thread, so each has its own.
    let hash = |files: &mut Option<Ext4Files>, candidate: &Candidate| {
        if !candidate.is_there {
            return Ok(None);
        }
        let files = match files {
            Some(files) => files,
            None => files.insert(Ext4Files::open(volume).map_err(VerifyError::Filesystem)?),
        };
        let expected = candidate.said.as_ref().map(Said::digest);
        let path = [store, &candidate.name].join(&b'/');
        match nar_digest(files, &path, expected, job) {
            Err(WalkError::Stopped(stopped)) => Err(stopped.into()),
            found => Ok(Some(found)),
        }
    };
    candidates
        .par_iter()
        .map_init(|| None, hash)
        .collect::<Result<_, _>>()
}

/// What comes of what is said and what was found.
fn conclude(
    records: &Records,
    candidates: &[Candidate],
    found: Vec<Option<Result<NarDigest, WalkError>>>,
) -> Verification {
    let mut verification = Verification {
        has_database: records.database.is_some(),
        has_registration: records.registration.is_some(),
        right: 0,
        nar_bytes: 0,
        findings: Vec::new(),
    };
    for (candidate, found) in candidates.iter().zip(found) {
        if let Some(Ok(nar)) = &found {
            verification.nar_bytes += nar.size;
        }
        let said = candidate.said.as_ref();
        let fault = fault(said.map(Said::digest), found);
        let disagreement = said.and_then(|said| said.disagreement(records));
        verification.right += usize::from(fault.is_none() && disagreement.is_none());
        let findings = fault.into_iter().chain(disagreement);
        verification.findings.extend(findings.map(|fault| Finding {
            path: candidate.path(),
            fault,
        }));
    }
    verification
}

/// What is wrong with a path, but for what is said of it.
fn fault(
    expected: Option<NarDigest>,
    found: Option<Result<NarDigest, WalkError>>,
) -> Option<Fault> {
    Some(match (expected, found) {
        (None, None) => return None,
        (None, Some(found)) => Fault::Extra { found: found.ok() },
        (Some(expected), None) => Fault::Missing { expected },
        (Some(expected), Some(Err(error))) => Fault::Unreadable { expected, error },
        (Some(expected), Some(Ok(found))) if expected == found => return None,
        (Some(expected), Some(Ok(found))) => Fault::Changed { expected, found },
    })
}

impl Candidate {
    /// Of the NAR that is to be hashed, as it is registered.
    fn nar_bytes(&self) -> u64 {
        let said = self.said.as_ref().filter(|_| self.is_there);
        said.map_or(0, |said| said.digest().size)
    }

    /// Its path in the image.
    fn path(&self) -> Vec<u8> {
        [STORE_DIRECTORY.as_bytes(), &self.name].join(&b'/')
    }
}

impl VerifyError {
    /// Whether something else has to be asked for.
    #[must_use]
    pub fn is_of_the_request(&self) -> bool {
        match self {
            Self::Inspect(error) => error.is_of_the_request(),
            Self::NoExt4 { .. } | Self::NoStore | Self::OnlyStore { .. } | Self::NoRecords => true,
            Self::Filesystem(_)
            | Self::List { .. }
            | Self::Find(_)
            | Self::Records(_)
            | Self::Stopped(_) => false,
        }
    }
}
