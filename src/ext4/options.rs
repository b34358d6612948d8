//! What a user may choose of a filesystem.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The choices that make one filesystem of a tree.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the volume.
    pub label: Label,
    /// Identity of the volume.
    pub uuid: Uuid,
    /// Key of the directory hash; derived from the UUID by [`HashSeed::of`] unless given.
    pub hash_seed: HashSeed,
    /// Time of the filesystem itself and of what the tree has no time for: seconds
    /// from 1970.
    pub time: u32,
    /// Bytes to leave free, rounded up to blocks.
    pub free_bytes: u64,
    /// Inodes to leave free.
    pub free_inodes: u32,
}

/// A volume's name: at most [`Label::MAX_LENGTH`] bytes, without NUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label([u8; Label::MAX_LENGTH]);

/// A name that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the label {label:?} has {} bytes; an ext4 label has at most {} and no NUL", label.len(), Label::MAX_LENGTH)]
pub struct LabelTooLong {
    /// What was asked for.
    pub label: String,
}

/// A UUID, as its bytes stand on disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

/// Text that is no UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no UUID; one has 32 hex digits in groups of 8-4-4-4-12, as 44444444-4444-4444-8888-888888888888"
)]
pub struct UuidError {
    /// The text.
    pub text: String,
}

/// The key of the hash that orders large directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSeed(pub [u8; 16]);

impl Options {
    /// Free bytes unless told otherwise: what nixpkgs' `make-ext4-fs.nix` leaves, for
    /// a first boot needs some.
    pub const DEFAULT_FREE_BYTES: u64 = 16 << 20;
    /// Free inodes unless told otherwise.
    pub const DEFAULT_FREE_INODES: u32 = 1024;
}

impl Label {
    /// Bytes in the longest label.
    pub const MAX_LENGTH: usize = 16;

    /// The bytes on disk, padded with NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::MAX_LENGTH] {
        &self.0
    }
}

impl FromStr for Label {
    type Err = LabelTooLong;

    fn from_str(text: &str) -> Result<Self, LabelTooLong> {
        if text.len() > Self::MAX_LENGTH || text.contains('\0') {
            return Err(LabelTooLong { label: text.into() });
        }
        let mut bytes = [0; Self::MAX_LENGTH];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let error = || UuidError { text: text.into() };
        let groups: Vec<_> = text.split('-').map(str::len).collect();
        if groups != [8, 4, 4, 4, 12] {
            return Err(error());
        }
        let digits = text.replace('-', "");
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .map_err(|_| error())?;
        bytes.try_into().map(Self).map_err(|_| error())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = data_encoding::HEXLOWER.encode(&self.0);
        write!(
            f,
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl HashSeed {
    /// The seed of a filesystem whose user gave none: the first half of a SHA-256, so
    /// that a UUID has one seed for ever.
    #[must_use]
    pub fn of(uuid: Uuid) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"nix2image ext4 directory hash seed");
        hash.update(uuid.0);
        let mut seed = [0; 16];
        seed.copy_from_slice(&hash.finalize()[..16]);
        Self(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_reads_as_it_prints() {
        let text = "44444444-4444-4444-8888-888888888888";
        let uuid: Uuid = text.parse().unwrap();
        assert_eq!(uuid.0[7..9], [0x44, 0x88]);
        assert_eq!(uuid.to_string(), text);
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in [
            "",
            "44444444",
            "44444444-4444-4444-8888-88888888888g",
            "4444444-44444-4444-8888-888888888888",
        ] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_label_has_at_most_16_bytes() {
        assert!("exactly 16 bytes".parse::<Label>().is_ok());
        assert!("seventeen bytes..".parse::<Label>().is_err());
        assert!("ümlaute in label".parse::<Label>().is_err());
    }
}
