//! Gathering: from the forms in which closures are given to one closure.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::cache::{CacheError, read_cache};
use super::export::{ExportError, open_export, read_export};
use super::text_graph::{TextGraphError, parse_text_graph};
use super::{
    Closure, ClosureError, Database, DatabaseError, DatabaseFault, DuplicateError, Graph, Input,
    Member, StorePath,
};
use crate::tree::Timestamp;

/// A closure, or a part of one, as a user gives it.
#[derive(Clone, Debug)]
pub enum Form {
    /// A graph of `exportReferencesGraph` under structured attributes.
    Graph(Graph),
    /// A file with a graph of `exportReferencesGraph` as text.
    TextGraph(PathBuf),
    /// A file that `nix-store --export` wrote, perhaps compressed with zstd.
    Export(PathBuf),
    /// Paths, and all that they refer to, in a binary cache.
    Cache {
        /// The cache's directory.
        cache: PathBuf,
        /// The paths.
        paths: Vec<StorePath>,
    },
    /// Paths, and all that they refer to, in the store of this host.
    Store {
        /// The directory of the store's database, `…/nix/var/nix/db`.
        database: PathBuf,
        /// The paths.
        roots: Vec<StorePath>,
    },
}

/// Why there is no closure.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// A file could not be read.
    #[error("cannot read the text graph {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that is no graph.
    #[error("{} is no text graph of exportReferencesGraph", path.display())]
    TextGraph {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TextGraphError,
    },
    /// An export that could not be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A binary cache that could not be read.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The database of this host's store could not be read, or lacks a path.
    #[error(transparent)]
    Database(#[from] Box<DatabaseError>),
    /// Inputs that make no closure.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// Inputs that hold different contents of one path.
    #[error(transparent)]
    Duplicate(#[from] DuplicateError),
}

impl GatherError {
    /// Whether another request is needed, for this one can never be followed.
    #[must_use]
    pub fn is_of_the_request(&self) -> bool {
        match self {
            Self::TextGraph { .. } | Self::Closure(_) => true,
            Self::Database(error) => matches!(error.fault, DatabaseFault::NotValid { .. }),
            _ => false,
        }
    }
}

/// The closure of all `forms` together. What streams describe has the time `mtime`;
/// `interrupt` ends the work, when it is set.
pub fn gather(
    forms: Vec<Form>,
    mtime: Timestamp,
    interrupt: &AtomicBool,
) -> Result<Closure, GatherError> {
    // All at once: what is compressed keeps one thread busy. The first error counts.
    let inputs: Vec<Result<Input, GatherError>> = forms
        .into_par_iter()
        .map(|form| input(form, mtime, interrupt))
        .collect();
    let inputs: Vec<Input> = inputs.into_iter().collect::<Result<_, _>>()?;
    let mut closure = Closure::new(inputs)?;
    closure.check_duplicates()?;
    Ok(closure)
}

fn input(form: Form, mtime: Timestamp, interrupt: &AtomicBool) -> Result<Input, GatherError> {
    Ok(match form {
        Form::Graph(graph) => graph.into(),
        Form::TextGraph(path) => {
            let text = fs::read(&path).map_err(|source| GatherError::Read {
                path: path.clone(),
                source,
            })?;
            let members = parse_text_graph(&text).map_err(|source| GatherError::TextGraph {
                path: path.clone(),
                source,
            })?;
            Input {
                name: format!("the text graph {}", path.display()),
                members,
            }
        }
        Form::Export(path) => Input {
            name: format!("the export {}", path.display()),
            members: read_export(&open_export(&path, None, interrupt)?, mtime)?,
        },
        Form::Cache { cache, paths } => Input {
            name: format!("the binary cache {}", cache.display()),
            members: read_cache(&cache, &paths, mtime, None, interrupt)?,
        },
        Form::Store { database, roots } => Input {
            name: "the store of this host".into(),
            members: Database::open_read_only(&database)
                .and_then(|database| database.closure(&roots))
                .map_err(Box::new)?
                .into_iter()
                .map(Member::from)
                .collect(),
        },
    })
}
