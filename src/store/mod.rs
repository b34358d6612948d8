//! Nix's side: store paths, closures, and what a store path consists of.
//!
//! Graphs, as Nix hands them to a builder, merge to a [`Closure`]; [`scan_closure`]
//! makes a tree of each of its paths, and [`registration()`] what a Nix database needs
//! to know of them. [`nar`] is the form in which Nix hashes a store path.

pub mod cache;
mod closure;
mod database;
mod export;
mod gather;
mod graph;
mod hash;
mod input;
pub mod nar;
mod path;
mod registration;
mod scan;
mod spool;
mod stream;
mod text_graph;
mod watch;

pub use cache::{CacheError, read_cache};
pub use closure::{
    Claim, Closure, ClosureError, ClosurePath, DuplicateError, MismatchError, ValidPath,
};
pub use database::{
    DATABASE_NAME, Database, DatabaseError, DatabaseFault, SCHEMA_VERSION, SCHEMA_VERSION_NAME,
    encode_database,
};
pub use export::{ExportError, ExportFault, open_export, read_export};
pub use gather::{Form, GatherError, gather};
pub use graph::{Graph, GraphError};
pub use hash::{NarHash, NarHashError};
pub use input::{Content, Input, Member, NarDigest};
pub use path::{STORE_DIRECTORY, StorePath, StorePathError};
pub use registration::{
    REGISTRATION_NAME, RegistrationError, RegistrationFault, parse_registration, registration,
};
pub use scan::{ScanError, scan, scan_closure};
pub(crate) use scan::{host_file, real_way};
pub use spool::SpoolError;
pub use stream::StreamError;
pub use text_graph::{TextGraphError, TextGraphFault, parse_text_graph};
pub use watch::{NarWatch, WatchError};
