//! Hashes of NARs, in the three ways that Nix writes them.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{BASE64, BitOrder, Encoding, HEXLOWER, HEXLOWER_PERMISSIVE, Specification};
use serde::Deserialize;

/// The digits of Nix's base 32, which leave out e, o, t and u.
pub(super) const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Nix's base 32, but for the order of the digits: Nix writes the last one first.
static REVERSED_BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .extend(ALPHABET.iter().copied().map(char::from));
    specification.bit_order = BitOrder::LeastSignificantFirst;
    specification
        .encoding()
        .expect("32 different ASCII characters are an encoding")
});

/// The SHA-256 of a store path's NAR.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct NarHash(pub [u8; 32]);

/// Text that is no hash of a NAR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no hash of a NAR; one is `sha256:` and 52 digits of Nix base 32 or 64 hex digits, or `sha256-` and 44 characters of base 64"
)]
pub struct NarHashError {
    /// The text.
    pub text: String,
}

impl NarHash {
    /// 64 hex digits, without a prefix.
    #[must_use]
    pub fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// 52 digits of Nix base 32, without a prefix.
    #[must_use]
    pub fn to_base32(self) -> String {
        REVERSED_BASE32.encode(&self.0).chars().rev().collect()
    }
}

impl From<ring::digest::Context> for NarHash {
    /// Of all bytes so far, which are hashed by SHA-256.
    fn from(hash: ring::digest::Context) -> Self {
        let bytes = hash.finish().as_ref().try_into();
        Self(bytes.expect("a SHA-256 has 32 bytes"))
    }
}

impl FromStr for NarHash {
    type Err = NarHashError;

    fn from_str(text: &str) -> Result<Self, NarHashError> {
        decode(text)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| NarHashError { text: text.into() })
    }
}

impl TryFrom<String> for NarHash {
    type Error = NarHashError;

    fn try_from(text: String) -> Result<Self, NarHashError> {
        text.parse()
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if let Some(base64) = text.strip_prefix("sha256-") {
        return BASE64.decode(base64.as_bytes()).ok();
    }
    let digits = text.strip_prefix("sha256:")?.as_bytes();
    if digits.len() == 64 {
        return HEXLOWER_PERMISSIVE.decode(digits).ok();
    }
    let reversed: Vec<u8> = digits.iter().rev().copied().collect();
    REVERSED_BASE32.decode(&reversed).ok()
}

impl fmt::Display for NarHash {
    /// `sha256:` and Nix base 32, as Nix's messages have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.to_base32())
    }
}

impl fmt::Debug for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    const EMPTY_HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_BASE32: &str = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    const EMPTY_BASE64: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn the_three_forms_of_a_known_hash_are_one_hash() {
        let hash = NarHash(Sha256::digest(b"").into());
        for text in [
            format!("sha256:{EMPTY_HEX}"),
            format!("sha256:{}", EMPTY_HEX.to_uppercase()),
            format!("sha256:{EMPTY_BASE32}"),
            format!("sha256-{EMPTY_BASE64}"),
        ] {
            assert_eq!(text.parse(), Ok(hash), "{text}");
        }
        assert_eq!(hash.to_hex(), EMPTY_HEX);
        assert_eq!(hash.to_string(), format!("sha256:{EMPTY_BASE32}"));
    }

    #[test]
    fn what_is_no_hash_is_refused_with_its_text() {
        for text in [
            "",
            "sha256:",
            "sha256-",
            EMPTY_HEX,
            EMPTY_BASE32,
            "sha1:2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            &format!("sha512:{EMPTY_BASE32}"),
            &format!("sha256:{}", &EMPTY_BASE32[1..]),
            &format!("sha256:z{}", &EMPTY_BASE32[1..]), // 260 bits, four of them set in vain
            &format!("sha256:{}", EMPTY_BASE32.to_uppercase()),
            &format!("sha256:{}", EMPTY_BASE32.replace('a', "e")),
            &format!("sha256-{}", EMPTY_BASE64.trim_end_matches('=')),
        ] {
            assert_eq!(
                text.parse::<NarHash>(),
                Err(NarHashError { text: text.into() })
            );
        }
    }

    proptest! {
        #[test]
        fn every_hash_reads_as_it_prints(bytes: [u8; 32]) {
            let hash = NarHash(bytes);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
            prop_assert_eq!(format!("sha256:{}", hash.to_hex()).parse(), Ok(hash));
            prop_assert_eq!(format!("sha256-{}", BASE64.encode(&bytes)).parse(), Ok(hash));
        }
    }
}
