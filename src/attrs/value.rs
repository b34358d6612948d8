//! The values that attributes may have, each with what it says when it is given another.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

use crate::ext4;
use crate::tree::Name;

/// An integer from `MIN` to `MAX`, all of which fit `T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer<T, const MIN: i64, const MAX: i64>(pub T);

/// A user or group id. The highest number means "none" to the kernel.
pub type Owner = Integer<u32, 0, { u32::MAX as i64 - 1 }>;

/// The times that ext4 holds, in seconds from 1970: 1901-12-13 20:45:52 to
/// 2446-05-10 22:38:55, 32 bits and two more to extend them upwards.
pub type ContentMtime = Integer<i64, { -(1 << 31) }, { (1 << 34) - (1 << 31) - 1 }>;

/// A value that is written as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<T>(pub T);

/// What can be the value of a [`Text`].
pub trait FromText: FromStr<Err: fmt::Display> {
    /// What is allowed, for a message that begins with "expected".
    const ALLOWED: &str;
}

/// Text that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not allowed, expected {allowed}")]
pub struct NotAllowed {
    /// The text.
    pub found: String,
    /// What would have been.
    pub allowed: &'static str,
}

impl NotAllowed {
    pub(super) fn instead_of<T: FromText>(found: &str) -> Self {
        Self {
            found: found.into(),
            allowed: T::ALLOWED,
        }
    }
}

impl<'de, T, const MIN: i64, const MAX: i64> Deserialize<'de> for Integer<T, MIN, MAX>
where
    T: TryFrom<i64>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_i64(IntegerVisitor::<T, MIN, MAX>(PhantomData))
            .map(Self)
    }
}

struct IntegerVisitor<T, const MIN: i64, const MAX: i64>(PhantomData<T>);

impl<T, const MIN: i64, const MAX: i64> Visitor<'_> for IntegerVisitor<T, MIN, MAX>
where
    T: TryFrom<i64>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an integer from {MIN} to {MAX}")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        Some(value)
            .filter(|value| (MIN..=MAX).contains(value))
            .and_then(|value| T::try_from(value).ok())
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
        }
    }
}

/// An integer that a type of its own checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<T>(pub T);

impl<'de, T> Deserialize<'de> for Number<T>
where
    T: TryFrom<u64, Error: fmt::Display>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Integer(value) = Integer::<u64, 0, { i64::MAX }>::deserialize(deserializer)?;
        T::try_from(value).map(Self).map_err(de::Error::custom)
    }
}

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(TextVisitor::<T>(PhantomData))
            .map(Self)
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::ALLOWED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Declares a set of attributes: a field for each, and nothing else is allowed in it.
macro_rules! attribute_set {
    ($(#[$meta:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, serde::Deserialize)]
        #[serde(
            deny_unknown_fields,
            rename_all = "camelCase",
            expecting = "an attribute set"
        )]
        #[expect(missing_docs, reason = "docs/attributes.md has them, for the user")]
        pub struct $name { $($fields)* }
    };
}

pub(super) use attribute_set;

/// Declares an enumeration and the text of each of its values.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $first:ident = $first_text:literal $(, $rest:ident = $rest_text:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            #[doc = concat!("`\"", $first_text, "\"`")]
            $first,
            $(
                #[doc = concat!("`\"", $rest_text, "\"`")]
                $rest,
            )*
        }

        impl $name {
            /// As it is written.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$rest => $rest_text,)*
                }
            }
        }

        impl $crate::attrs::FromText for $name {
            const ALLOWED: &str = concat!("\"", $first_text, "\"", $(" or \"", $rest_text, "\"",)*);
        }

        impl std::str::FromStr for $name {
            type Err = $crate::attrs::NotAllowed;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $first_text => Ok(Self::$first),
                    $($rest_text => Ok(Self::$rest),)*
                    _ => Err($crate::attrs::NotAllowed::instead_of::<Self>(text)),
                }
            }
        }
    };
}

pub(super) use choice;

choice! {
    /// What `$out` is.
    OutputForm { File = "file", Directory = "directory" }
}

choice! {
    /// What holds the files.
    KindName { Ext4 = "ext4", Tar = "tar", Disk = "disk" }
}

choice! {
    /// What the image is wrapped in.
    ContainerName {
        Raw = "raw",
        Qcow2 = "qcow2",
        CompressedQcow2 = "qcow2-compressed",
        FixedVhd = "vhd-fixed",
        DynamicVhd = "vhd-dynamic"
    }
}

choice! {
    /// How an image that is not in another container is compressed.
    CompressionName { None = "none", Zstd = "zstd" }
}

/// The features of a filesystem: a profile by its name, or all features by theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile(pub ext4::Features);

impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProfileVisitor)
    }
}

struct ProfileVisitor;

impl<'de> Visitor<'de> for ProfileVisitor {
    type Value = Profile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"default\", \"modern\", \"legacy-uboot\" or a list of features")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Profile, E> {
        match text {
            "default" => Ok(ext4::Features::default_profile()),
            "modern" => Ok(ext4::Features::modern()),
            "legacy-uboot" => Ok(ext4::Features::legacy_uboot()),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
        .map(Profile)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut names: A) -> Result<Profile, A::Error> {
        let mut features = Vec::new();
        while let Some(Text(feature)) = names.next_element()? {
            features.push(feature);
        }
        ext4::Features::new(features)
            .map(Profile)
            .map_err(de::Error::custom)
    }
}

impl FromText for ext4::Feature {
    const ALLOWED: &str = "the name of a feature, as mke2fs -O has it";
}

impl FromText for ext4::Label {
    const ALLOWED: &str = "a string of at most 16 bytes, without NUL";
}

impl FromText for ext4::Uuid {
    const ALLOWED: &str = "a UUID, such as \"44444444-4444-4444-8888-888888888888\"";
}

/// Permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u16);

impl FromText for Mode {
    const ALLOWED: &str = "a string of octal digits up to \"7777\", such as \"0644\"";
}

impl FromStr for Mode {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        Some(text)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| u16::from_str_radix(digits, 8).ok())
            .filter(|mode| *mode <= 0o7777)
            .map(Self)
            .ok_or_else(|| NotAllowed::instead_of::<Self>(text))
    }
}

/// An absolute path of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePath(pub PathBuf);

impl FromText for SourcePath {
    const ALLOWED: &str = "an absolute path";
}

impl FromStr for SourcePath {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        if !text.starts_with('/') || text.contains('\0') {
            return Err(NotAllowed::instead_of::<Self>(text));
        }
        Ok(Self(text.into()))
    }
}

/// A place in the image: the names that lead to it from the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(pub Vec<Name>);

/// Text that is no place in an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not allowed, expected {}: {reason}", Target::ALLOWED)]
pub struct TargetError {
    /// The text.
    pub found: String,
    /// What is wrong with it.
    pub reason: String,
}

impl FromText for Target {
    const ALLOWED: &str = "an absolute path without \".\", \"..\" and empty names";
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let error = |reason: String| TargetError {
            found: text.into(),
            reason,
        };
        let path = text
            .strip_prefix('/')
            .ok_or_else(|| error("it does not begin with a slash".into()))?;
        if path.is_empty() {
            return Ok(Self(Vec::new()));
        }
        path.split('/')
            .map(Name::new)
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(|reason| error(reason.to_string()))
    }
}

/// One line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(pub String);

impl FromText for Line {
    const ALLOWED: &str = "a line of text, not empty, without control characters";
}

impl FromStr for Line {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        if text.is_empty() || text.contains(char::is_control) {
            return Err(NotAllowed::instead_of::<Self>(text));
        }
        Ok(Self(text.into()))
    }
}

/// The path of a file in the output: names without `.`, `..` and empty ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelativePath(pub String);

impl FromText for RelativePath {
    const ALLOWED: &str = "the path of a file in the output, without \".\", \"..\", empty names \
                           and a leading slash";
}

impl FromStr for RelativePath {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        if text.split('/').any(|name| Name::new(name).is_err()) {
            return Err(NotAllowed::instead_of::<Self>(text));
        }
        Ok(Self(text.into()))
    }
}

/// The full name of an extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct XattrName(pub String);

impl XattrName {
    /// Bytes in the longest name that the kernel takes.
    const MAX_LENGTH: usize = 255;
}

impl FromText for XattrName {
    const ALLOWED: &str = "a full name of at most 255 bytes: \"user.…\", \"trusted.…\", \
                           \"security.…\", \"system.posix_acl_access\" or \
                           \"system.posix_acl_default\"";
}

impl FromStr for XattrName {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let allowed = match text.split_once('.') {
            Some(("user" | "trusted" | "security", name)) => !name.is_empty(),
            Some(("system", name)) => matches!(name, "posix_acl_access" | "posix_acl_default"),
            _ => false,
        };
        if !allowed || text.len() > Self::MAX_LENGTH || text.contains('\0') {
            return Err(NotAllowed::instead_of::<Self>(text));
        }
        Ok(Self(text.into()))
    }
}

/// The value of an extended attribute, written as `getfattr` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XattrValue(pub Box<[u8]>);

impl FromText for XattrValue {
    const ALLOWED: &str = "a value as getfattr writes it: text, text in double quotes with \
                           backslash escapes, hex after 0x, or base64 after 0s";
}

impl FromStr for XattrValue {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let bytes = if let Some(hex) = strip_either(text, "0x", "0X") {
            HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()
        } else if let Some(base64) = strip_either(text, "0s", "0S") {
            BASE64.decode(base64.as_bytes()).ok()
        } else if let Some(quoted) = text.strip_prefix('"') {
            quoted.strip_suffix('"').and_then(unescape)
        } else {
            Some(text.into())
        };
        bytes
            .map(|bytes| Self(bytes.into()))
            .ok_or_else(|| NotAllowed::instead_of::<Self>(text))
    }
}

fn strip_either<'a>(text: &'a str, prefix: &str, or: &str) -> Option<&'a str> {
    text.strip_prefix(prefix).or_else(|| text.strip_prefix(or))
}

/// Resolves `\"`, `\\` and three octal digits after a backslash.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => return None,
            b'\\' => {
                let (byte, after) = unescape_one(rest)?;
                bytes.push(byte);
                rest = after;
            }
            _ => bytes.push(byte),
        }
    }
    Some(bytes)
}

fn unescape_one(rest: &[u8]) -> Option<(u8, &[u8])> {
    match rest {
        [byte @ (b'"' | b'\\'), after @ ..] => Some((*byte, after)),
        [
            a @ b'0'..=b'3',
            b @ b'0'..=b'7',
            c @ b'0'..=b'7',
            after @ ..,
        ] => Some((((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), after)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_up_to_7777() {
        for (text, mode) in [("0", 0), ("644", 0o644), ("0600", 0o600), ("4755", 0o4755)] {
            assert_eq!(text.parse(), Ok(Mode(mode)), "{text}");
        }
        for text in ["", "8", "0o644", "+644", "17777", "-1", "u=rw"] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_is_the_names_that_lead_to_it() {
        let Target(names) = "/etc/a b".parse().unwrap();
        assert_eq!(names, ["etc", "a b"].map(|name| Name::new(name).unwrap()));
        assert_eq!("/".parse(), Ok(Target(Vec::new())));
    }

    #[test]
    fn a_target_that_does_not_lead_to_one_place_is_refused() {
        let too_long = format!("/{}", "x".repeat(256));
        for text in [
            "",
            "etc",
            "/etc/../x",
            "/./etc",
            "//etc",
            "/etc/",
            &too_long,
            "/a\0",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn xattr_values_read_as_getfattr_writes_them() {
        for (text, bytes) in [
            ("plain text", &b"plain text"[..]),
            ("", b""),
            ("0x01fF", b"\x01\xff"),
            ("0sAQI=", b"\x01\x02"),
            (r#""0x\"\\\012\377""#, b"0x\"\\\n\xff"),
        ] {
            let XattrValue(value) = text.parse().unwrap();
            assert_eq!(&*value, bytes, "{text}");
        }
        for text in ["0x1", "0xzz", "0s===", "\"open", r#""\9""#, r#""a"b""#] {
            assert!(text.parse::<XattrValue>().is_err(), "{text}");
        }
    }

    #[test]
    fn xattr_names_have_a_namespace_that_ext4_keeps() {
        for text in [
            "user.comment",
            "security.capability",
            "trusted.overlay.opaque",
            "system.posix_acl_access",
        ] {
            assert!(text.parse::<XattrName>().is_ok(), "{text}");
        }
        let too_long = format!("user.{}", "x".repeat(251));
        for text in ["comment", "user.", "system.data", "other.x", "", &too_long] {
            assert!(text.parse::<XattrName>().is_err(), "{text}");
        }
    }
}
