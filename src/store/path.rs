//! Store paths, `/nix/store/<hash>-<name>`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::hash::ALPHABET;

/// The directory of every store path: in the image, and where the builder finds it.
pub const STORE_DIRECTORY: &str = "/nix/store";

/// A path right below the store directory, as Nix's `path.cc` checks it. Ordered by
/// its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct StorePath {
    base_name: Arc<str>,
}

/// Text that is no store path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorePathError {
    /// It lies elsewhere.
    #[error("{text:?} does not lie right below {STORE_DIRECTORY}")]
    NotInStore {
        /// What was given.
        text: String,
    },
    /// The hash is not a hash.
    #[error(
        "{text:?} has no {} characters of hash and a dash before its name; a hash is written in 0-9 and a-z without e, o, t, u",
        StorePath::HASH_LENGTH
    )]
    Hash {
        /// What was given.
        text: String,
    },
    /// The name has a character that Nix does not allow.
    #[error(
        "{text:?} has {character:?} in its name; allowed are letters, digits and any of +-._?="
    )]
    NameCharacter {
        /// What was given.
        text: String,
        /// The first character at fault.
        character: char,
    },
    /// The name is empty or too long.
    #[error(
        "{text:?} has a name of {length} characters; allowed are 1 to {}",
        StorePath::MAX_NAME_LENGTH
    )]
    NameLength {
        /// What was given.
        text: String,
        /// Characters of the name.
        length: usize,
    },
    /// The name would be taken for a directory itself or its parent.
    #[error(
        "{text:?} has a name whose first part, up to a dash, is {part:?}, which Nix does not allow"
    )]
    NameStart {
        /// What was given.
        text: String,
        /// `.` or `..`.
        part: &'static str,
    },
}

impl StorePath {
    /// Characters of the hash.
    pub const HASH_LENGTH: usize = 32;
    /// Characters in the longest name.
    pub const MAX_NAME_LENGTH: usize = 211;

    /// Reads a full path, as `/nix/store/0a1b…-hello`.
    pub fn parse(text: &str) -> Result<Self, StorePathError> {
        let base_name = text
            .strip_prefix(STORE_DIRECTORY)
            .and_then(|rest| rest.strip_prefix('/'))
            .filter(|rest| !rest.contains('/'))
            .ok_or_else(|| StorePathError::NotInStore { text: text.into() })?;
        Self::from_base_name(base_name)
    }

    /// Reads the last part of a path, as `0a1b…-hello`.
    pub fn from_base_name(text: &str) -> Result<Self, StorePathError> {
        let (_, name) = text
            .split_at_checked(Self::HASH_LENGTH)
            .filter(|(hash, _)| hash.bytes().all(|byte| IS_DIGIT[usize::from(byte)]))
            .and_then(|(hash, rest)| Some((hash, rest.strip_prefix('-')?)))
            .ok_or_else(|| StorePathError::Hash { text: text.into() })?;
        check_name(text, name)?;
        Ok(Self {
            base_name: text.into(),
        })
    }

    /// The hash and the name, as one file name.
    #[must_use]
    pub fn base_name(&self) -> &str {
        &self.base_name
    }

    /// The full path on a host whose store is at [`STORE_DIRECTORY`].
    #[must_use]
    pub fn to_path(&self) -> PathBuf {
        PathBuf::from(self.to_string())
    }
}

impl TryFrom<String> for StorePath {
    type Error = StorePathError;

    fn try_from(text: String) -> Result<Self, StorePathError> {
        Self::parse(&text)
    }
}

/// Whether a byte is a digit of a hash, for each byte. A graph names a path again wherever
/// another refers to it: to search [`ALPHABET`] for each character of all these is slow.
static IS_DIGIT: [bool; 256] = {
    let mut is_digit = [false; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        is_digit[ALPHABET[at] as usize] = true;
        at += 1;
    }
    is_digit
};

fn check_name(text: &str, name: &str) -> Result<(), StorePathError> {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | '?' | '=');
    if let Some(character) = name.chars().find(|c| !allowed(*c)) {
        return Err(StorePathError::NameCharacter {
            text: text.into(),
            character,
        });
    }
    if name.is_empty() || name.len() > StorePath::MAX_NAME_LENGTH {
        return Err(StorePathError::NameLength {
            text: text.into(),
            length: name.len(),
        });
    }
    let start = name.split('-').next().unwrap_or_default();
    for part in [".", ".."] {
        if start == part {
            return Err(StorePathError::NameStart {
                text: text.into(),
                part,
            });
        }
    }
    Ok(())
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE_DIRECTORY}/{}", self.base_name)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdfghijklmnpqrsvwxyz";

    fn in_store(base_name: &str) -> Result<StorePath, StorePathError> {
        StorePath::parse(&format!("{STORE_DIRECTORY}/{base_name}"))
    }

    #[test]
    fn a_store_path_reads_as_it_prints() {
        let text = format!("/nix/store/{HASH}-hello-2.12+x._?=");
        let path = StorePath::parse(&text).unwrap();
        assert_eq!(path.to_string(), text);
        assert_eq!(path.base_name(), &text["/nix/store/".len()..]);
    }

    #[test]
    fn what_lies_elsewhere_is_refused() {
        for text in [
            "",
            "/nix/store",
            "/nix/storeroom/x",
            &format!("/gnu/store/{HASH}-a"),
            &format!("/nix/store/{HASH}-a/b"),
            &format!("{HASH}-a"),
        ] {
            assert!(
                matches!(
                    StorePath::parse(text),
                    Err(StorePathError::NotInStore { .. })
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn a_hash_has_32_characters_of_nix_base32_and_a_dash() {
        for base_name in [
            "",
            "short-a",
            HASH,
            &format!("{HASH}_a"),
            &format!("{}-a", HASH.replace('x', "e")),
            &format!("{}-a", HASH.replace('x', "X")),
            "0123456789abcdfghijklmnpqrsvwxyé-a",
        ] {
            assert!(
                matches!(in_store(base_name), Err(StorePathError::Hash { .. })),
                "{base_name}"
            );
        }
    }

    #[test]
    fn a_name_has_the_characters_length_and_start_that_nix_allows() {
        for name in [
            ".a",
            "..a",
            "...",
            ".a-b",
            "-",
            "a/../b".split('/').next().unwrap(),
        ] {
            assert!(in_store(&format!("{HASH}-{name}")).is_ok(), "{name}");
        }
        let longest = "n".repeat(StorePath::MAX_NAME_LENGTH);
        assert!(in_store(&format!("{HASH}-{longest}")).is_ok());
        assert!(matches!(
            in_store(&format!("{HASH}-{longest}n")),
            Err(StorePathError::NameLength { length: 212, .. })
        ));
        assert!(matches!(
            in_store(&format!("{HASH}-")),
            Err(StorePathError::NameLength { length: 0, .. })
        ));
        assert!(matches!(
            in_store(&format!("{HASH}-a b")),
            Err(StorePathError::NameCharacter { character: ' ', .. })
        ));
        for (name, start) in [(".", "."), ("..", ".."), (".-a", "."), ("..-a", "..")] {
            assert!(
                matches!(
                    in_store(&format!("{HASH}-{name}")),
                    Err(StorePathError::NameStart { part, .. }) if part == start
                ),
                "{name}"
            );
        }
    }

    #[test]
    fn paths_are_ordered_by_their_bytes() {
        let path = |name: &str| in_store(&format!("{HASH}-{name}")).unwrap();
        assert!(path("A") < path("a"));
        assert!(path("a") < path("a-b"));
    }
}
