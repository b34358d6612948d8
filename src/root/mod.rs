//! The root filesystem: the policy of what stands in an image.
//!
//! [`place`] turns the user's contents into trees, each with its place; [`tree`]
//! puts them, the closure and its registration into one.

mod archive;
mod contents;
mod layout;

pub use archive::{ArchiveError, ArchiveFault};
pub use contents::{ContentsError, Placed, place};
pub use layout::{Part, RootError, tree};
