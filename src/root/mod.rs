//! The root filesystem: the policy of what stands in an image.
//!
//! [`NixosRoot`] says what a NixOS has beside its store. [`place`] turns the user's
//! contents into trees, each with its place; [`tree`] puts all that, the closure and its
//! registration into one.

mod archive;
mod contents;
mod generation;
mod glob;
mod layout;
mod nixos;
mod shell;

pub use archive::{ArchiveError, ArchiveFault, Unpacked, unpack};
pub use contents::{ContentsError, Placed, file, place};
pub use generation::Generations;
pub use glob::GlobError;
pub use layout::{Part, RootError, contents_tree, store_paths, store_tree, tree};
pub use nixos::{CHANNEL_PROFILE, NIXOS_MARK, NixosError, NixosRoot, Profile, SYSTEM_PROFILE};
pub use shell::ShellError;
