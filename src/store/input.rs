//! Inputs: what each form of a closure says of its store paths.
//!
//! | form | hash, size | references | `ca` | content |
//! |---|---|---|---|---|
//! | graph (JSON) | yes | yes | yes | the host's store |
//! | graph (text) | no | yes | no | the host's store |
//! | export | no | yes | no | the stream |
//! | binary cache | yes | yes | yes | the cache |
//! | database | yes | yes | yes | the host's store |
//!
//! Deriver and signatures are known to some forms and are dropped, so that all of them
//! give the same image. [`Closure`](super::Closure) is what several inputs agree on.

use super::{NarHash, StorePath, ValidPath};
use crate::tree::Tree;

/// One input, with all that it says.
#[derive(Clone, Debug)]
pub struct Input {
    /// What a user knows it by, as `the graph "closure"`.
    pub name: String,
    /// Its store paths, in any order.
    pub members: Vec<Member>,
}

/// A store path as an input describes it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The store path.
    pub path: StorePath,
    /// Its NAR, if the input knows.
    pub nar: Option<NarDigest>,
    /// What it refers to, in order, each once; itself only if it does.
    pub references: Vec<StorePath>,
    /// The content address, if it has one and the input knows.
    pub ca: Option<String>,
    /// The byte of the input from which on references are listed, if it is a file.
    pub offset: Option<u64>,
    /// Where its content is.
    pub content: Content,
}

/// The hash and the size of a store path's NAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NarDigest {
    /// SHA-256.
    pub hash: NarHash,
    /// Bytes.
    pub size: u64,
}

/// Where the content of a store path is.
#[derive(Clone, Debug)]
pub enum Content {
    /// In the host's store, at its own path.
    Live,
    /// In a stream: what its NAR describes, with files whose bytes lie in it.
    Stream(Tree),
}

impl From<ValidPath> for Member {
    /// A path that is valid in the host's store.
    fn from(valid: ValidPath) -> Self {
        Self {
            path: valid.path,
            nar: Some(NarDigest {
                hash: valid.nar_hash,
                size: valid.nar_size,
            }),
            references: valid.references,
            ca: valid.ca,
            offset: None,
            content: Content::Live,
        }
    }
}
