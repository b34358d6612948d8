//! What a FAT filesystem cannot hold of a tree, and what the rest takes.
//!
//! An entry of a directory has 32 bytes and a name of 8 and 3 characters in upper case.
//! Two bits say that either part is in lower case. Any other name stands in further
//! entries before it, 13 UTF-16 units in each. Source: Microsoft, FAT specification,
//! sections 6 and 7.

use std::collections::BTreeMap;

use crate::source::Source;
use crate::tree::{Kind, Name, NodeId, Tree};

/// Bytes of an entry.
pub(super) const ENTRY_BYTES: u64 = 32;
/// `.` and `..`, which every directory but the root has.
const DOT_ENTRIES: u64 = 2;
/// UTF-16 units of a name in one entry.
const UNITS_PER_ENTRY: usize = 13;
/// UTF-16 units of the longest name.
const MAX_UNITS: usize = 255;
/// What is in no name, beside control characters.
const FORBIDDEN: &str = "\"*/:<>?\\|";
/// What may be in a short name, beside letters and digits.
const SHORT_SYMBOLS: &str = "$%'-_@~`!(){}^#&";

/// A file that FAT cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a FAT filesystem cannot hold {path}: {fault}")]
pub struct UnfitFile {
    /// The file at fault, for reading.
    pub path: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Why FAT cannot hold a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The root of the tree is a file.
    #[error("it is the root of a filesystem and must be a directory")]
    Root,
    /// Neither a file nor a directory.
    #[error("it is {kind}; leave it out, or put what it stands for in its place")]
    Kind {
        /// `a symlink`, say.
        kind: &'static str,
    },
    /// 4 GiB or more.
    #[error("it has {bytes} bytes; a file has at most {max}", max = u32::MAX)]
    TooLarge {
        /// Bytes of the file.
        bytes: u64,
    },
    /// A name of bytes.
    #[error("its name is not UTF-8; give it another")]
    NotUtf8,
    /// A name with a character that FAT keeps for itself.
    #[error(
        "its name has the character {character:?}; a name has no control characters and none of {FORBIDDEN}"
    )]
    Character {
        /// The first of them.
        character: char,
    },
    /// A name whose end a reader would cut off.
    #[error("its name ends with a {with}, which readers cut off; give it another")]
    End {
        /// `dot` or `space`.
        with: &'static str,
    },
    /// A name that does not fit.
    #[error("its name has {units} UTF-16 units; a name has at most {MAX_UNITS}")]
    TooLong {
        /// Units of the name.
        units: usize,
    },
    /// A name that FAT takes for another.
    #[error(
        "its name differs from {other:?} beside it only in case, which FAT does not tell apart; rename one of them"
    )]
    Case {
        /// The other name.
        other: String,
    },
}

/// The directories of a tree, each after the one that it stands in; the root first.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) directories: Vec<Directory>,
}

/// A directory and what stands in it.
#[derive(Debug)]
pub(super) struct Directory {
    /// In the order in which entries are made.
    pub(super) entries: Vec<Entry>,
    /// Entries of 32 bytes.
    slots: u64,
}

/// A name, and what it names.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    File(Source),
    /// The place of the directory in [`Inventory::directories`].
    Directory(usize),
}

impl Inventory {
    /// Looks through `tree`, for a filesystem with a label or without.
    pub(super) fn new(tree: &Tree, has_label: bool) -> Result<Self, UnfitFile> {
        if !tree.node(Tree::ROOT).is_directory() {
            let path = "/".into();
            return Err(UnfitFile {
                path,
                fault: Fault::Root,
            });
        }
        let mut found = vec![(Tree::ROOT, String::new(), u64::from(has_label))];
        let mut directories = Vec::new();
        while let Some((id, path, own_slots)) = found.get(directories.len()).cloned() {
            let mut entries = Vec::new();
            let mut slots = own_slots;
            for Named { name, shape, id } in names(tree, id, &path)? {
                let path = format!("{path}/{name}");
                let content = match &tree.node(id).kind {
                    Kind::Directory(_) => {
                        found.push((id, path, DOT_ENTRIES));
                        Content::Directory(found.len() - 1)
                    }
                    Kind::File(source) => Content::File(file(source, &path)?),
                    other => {
                        let kind = other.name();
                        return Err(UnfitFile {
                            path,
                            fault: Fault::Kind { kind },
                        });
                    }
                };
                slots += shape.slots(&name);
                entries.push(Entry { name, content });
            }
            directories.push(Directory { entries, slots });
        }
        Ok(Self { directories })
    }

    /// Entries of the root directory.
    pub(super) fn root_slots(&self) -> u64 {
        self.directories[0].slots
    }

    /// Clusters of `cluster_bytes` that all directories but the root take, and all files.
    pub(super) fn clusters(&self, cluster_bytes: u64) -> u64 {
        let files: u64 = self
            .lengths()
            .map(|length| length.div_ceil(cluster_bytes))
            .sum();
        let directories: u64 = self.directories[1..]
            .iter()
            .map(|directory| directory.clusters(cluster_bytes))
            .sum();
        files + directories
    }

    /// Bytes of each file.
    pub(super) fn lengths(&self) -> impl Iterator<Item = u64> {
        let entries = self.directories.iter().flat_map(|one| &one.entries);
        entries.filter_map(|entry| match &entry.content {
            Content::File(source) => Some(source.length),
            Content::Directory(_) => None,
        })
    }

    /// Clusters of `cluster_bytes` that a root without a fixed place takes.
    pub(super) fn root_clusters(&self, cluster_bytes: u64) -> u64 {
        self.directories[0].clusters(cluster_bytes)
    }
}

impl Directory {
    fn clusters(&self, cluster_bytes: u64) -> u64 {
        (self.slots * ENTRY_BYTES).div_ceil(cluster_bytes).max(1)
    }
}

/// The source of a file that is small enough, as nobody's who watches: a file may be in
/// other filesystems of the same disk too.
fn file(source: &Source, path: &str) -> Result<Source, UnfitFile> {
    if source.length > u32::MAX.into() {
        return Err(UnfitFile {
            path: path.into(),
            fault: Fault::TooLarge {
                bytes: source.length,
            },
        });
    }
    Ok(Source {
        mark: None,
        ..source.clone()
    })
}

/// A name of a directory.
struct Named {
    name: String,
    shape: Shape,
    id: NodeId,
}

/// What a name takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    /// 8 and 3 characters, each part in one case: one entry.
    Short,
    /// 8 and 3 characters: a short name in upper case, and a long one.
    Mixed,
    /// Anything else: a long name, and a short one that is made up.
    Long,
}

/// The names in the directory `id`: those that are short names first, so that none that
/// is made up takes one away; in byte order otherwise.
fn names(tree: &Tree, id: NodeId, path: &str) -> Result<Vec<Named>, UnfitFile> {
    let mut names = Vec::new();
    let mut folded: BTreeMap<String, String> = BTreeMap::new();
    for (name, id) in tree.entries(id) {
        let unfit = |fault| UnfitFile {
            path: format!("{path}/{}", readable(name)),
            fault,
        };
        let name = check(name).map_err(unfit)?;
        let fold = name.to_uppercase().to_lowercase();
        if let Some(other) = folded.insert(fold, name.into()) {
            return Err(unfit(Fault::Case { other }));
        }
        names.push(Named {
            name: name.into(),
            shape: Shape::of(name),
            id,
        });
    }
    // Stable: names of one kind stay in byte order.
    names.sort_by_key(|named| named.shape == Shape::Long);
    Ok(names)
}

/// A name on one line.
fn readable(name: &Name) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(name.as_bytes()).chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// The text of a name that FAT can hold.
fn check(name: &Name) -> Result<&str, Fault> {
    let name = std::str::from_utf8(name.as_bytes()).map_err(|_| Fault::NotUtf8)?;
    let forbidden = |character: char| character.is_control() || FORBIDDEN.contains(character);
    if let Some(character) = name.chars().find(|character| forbidden(*character)) {
        return Err(Fault::Character { character });
    }
    for (end, with) in [('.', "dot"), (' ', "space")] {
        if name.ends_with(end) {
            return Err(Fault::End { with });
        }
    }
    let units = name.encode_utf16().count();
    if units > MAX_UNITS {
        return Err(Fault::TooLong { units });
    }
    Ok(name)
}

impl Shape {
    fn of(name: &str) -> Self {
        let (base, extension) = match name.rsplit_once('.') {
            Some((base, extension)) => (base, extension),
            None => (name, ""),
        };
        let short = |part: &str, max| {
            part.len() <= max
                && part.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || SHORT_SYMBOLS.as_bytes().contains(&byte)
                })
        };
        let one_case = |part: &str| {
            !(part.bytes().any(|byte| byte.is_ascii_lowercase())
                && part.bytes().any(|byte| byte.is_ascii_uppercase()))
        };
        if base.is_empty() || !short(base, 8) || !short(extension, 3) {
            Self::Long
        } else if one_case(base) && one_case(extension) {
            Self::Short
        } else {
            Self::Mixed
        }
    }

    /// Entries of 32 bytes that `name` takes.
    fn slots(self, name: &str) -> u64 {
        match self {
            Self::Short => 1,
            Self::Mixed | Self::Long => {
                1 + name.encode_utf16().count().div_ceil(UNITS_PER_ENTRY) as u64
            }
        }
    }
}
