//! Pax records: what extended headers say of an entry, as `length key=value` lines
//! whose values are bytes and may hold newlines.
//!
//! Source: POSIX, `pax`, "pax Header Block"; star's `SCHILY.xattr`, as GNU tar writes it.

use std::collections::BTreeMap;

use super::ArchiveFault;
use crate::tree::Timestamp;

/// What precedes the name of an xattr.
const XATTR: &[u8] = b"SCHILY.xattr.";
/// What precedes all that describes a sparse file.
const SPARSE: &[u8] = b"GNU.sparse.";
/// What precedes metadata that an image would need in another form: ACLs, labels.
const UNREAD: [&[u8]; 2] = [b"SCHILY.acl.", b"RHT.security."];

const NANOSECONDS: u32 = 1_000_000_000;

/// Keys and values; an empty value takes back what a global header said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

impl Records {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ArchiveFault> {
        let mut records = BTreeMap::new();
        let mut at = 0;
        while at < bytes.len() && bytes[at] != 0 {
            let (length, key, value) =
                parse_record(&bytes[at..]).ok_or(ArchiveFault::PaxRecord(at))?;
            records.insert(key.to_vec(), value.to_vec());
            at += length;
        }
        Ok(Self(records))
    }

    /// Lets `later` override what is here.
    pub(super) fn update(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        let value = self.0.get(key.as_bytes())?;
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn is_sparse(&self) -> bool {
        self.0.keys().any(|key| key.starts_with(SPARSE))
    }

    /// A key whose value would be lost.
    pub(super) fn unread(&self) -> Option<&[u8]> {
        let unread = |key: &&Vec<u8>| UNREAD.iter().any(|prefix| key.starts_with(prefix));
        self.0.keys().find(unread).map(Vec::as_slice)
    }

    pub(super) fn number(&self, key: &'static str) -> Result<Option<u64>, ArchiveFault> {
        self.read(key, |text| text.parse().ok())
    }

    pub(super) fn time(&self, key: &'static str) -> Result<Option<Timestamp>, ArchiveFault> {
        self.read(key, parse_time)
    }

    /// Names and values of the xattrs.
    pub(super) fn xattrs(&self) -> impl Iterator<Item = (Box<[u8]>, Box<[u8]>)> {
        self.0.iter().filter_map(|(key, value)| {
            let name = decode_name(key.strip_prefix(XATTR)?);
            Some((name.into(), value.as_slice().into()))
        })
    }

    fn read<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ArchiveFault> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let parsed = std::str::from_utf8(value).ok().and_then(parse);
        parsed.map(Some).ok_or_else(|| ArchiveFault::PaxNumber {
            key,
            value: super::readable(value),
        })
    }
}

/// The record that begins `bytes`: its length, key and value.
fn parse_record(bytes: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((length, &record[..equals], &record[equals + 1..]))
}

/// A decimal number of seconds, perhaps negative, perhaps with a fraction.
fn parse_time(text: &str) -> Option<Timestamp> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if [whole, fraction]
        .iter()
        .any(|part| part.bytes().any(|byte| !byte.is_ascii_digit()))
    {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanoseconds: u32 = format!("{fraction:0<9.9}").parse().ok()?;
    Some(match (negative, nanoseconds) {
        (false, _) => Timestamp {
            seconds,
            nanoseconds,
        },
        (true, 0) => Timestamp::from_seconds(-seconds),
        (true, _) => Timestamp {
            seconds: -seconds - 1,
            nanoseconds: NANOSECONDS - nanoseconds,
        },
    })
}

/// The name of an xattr, in which GNU tar writes `=` as `%3D` and `%` as `%25`.
fn decode_name(bytes: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match rest {
            [b'%', b'3', b'D', after @ ..] => (b'=', after),
            [b'%', b'2', b'5', after @ ..] => (b'%', after),
            _ => (*first, after),
        };
        name.push(byte);
        rest = after;
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
        let length =
            (1..=rest.len() + 20).find(|length| rest.len() + length.to_string().len() == *length);
        let length = length.unwrap().to_string();
        [length.as_bytes(), &rest].concat()
    }

    fn time(seconds: i64, nanoseconds: u32) -> Timestamp {
        Timestamp {
            seconds,
            nanoseconds,
        }
    }

    #[test]
    fn values_are_bytes_and_the_last_of_a_key_holds() {
        let bytes = [
            record("path", b"first"),
            record("path", b"a\nb=\xff c"),
            record("SCHILY.xattr.user.a%3Db%25", b"\0\n"),
        ];
        let records = Records::parse(&bytes.concat()).unwrap();
        assert_eq!(records.get("path"), Some(&b"a\nb=\xff c"[..]));
        let xattrs: Vec<_> = records.xattrs().collect();
        assert_eq!(xattrs, [(b"user.a=b%"[..].into(), b"\0\n"[..].into())]);
    }

    #[test]
    fn an_empty_value_takes_a_global_one_back() {
        let mut records = Records::parse(&record("uid", b"7")).unwrap();
        assert_eq!(records.number("uid").unwrap(), Some(7));
        records.update(Records::parse(&record("uid", b"")).unwrap());
        assert_eq!(records.number("uid").unwrap(), None);
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_place() {
        let good = record("path", b"x");
        for bad in [
            "x", "5 a=b", "6 a=bc\n", "99 a=b\n", "4 ab\n", "-1 a=b\n", "1 a=b\n",
        ] {
            let bytes = [&good[..], bad.as_bytes()].concat();
            let fault = Records::parse(&bytes);
            assert!(
                matches!(fault, Err(ArchiveFault::PaxRecord(at)) if at == good.len()),
                "{bad:?}: {fault:?}"
            );
        }
    }

    #[test]
    fn times_have_fractions_and_signs() {
        assert_eq!(parse_time("0"), Some(time(0, 0)));
        assert_eq!(parse_time("12.5"), Some(time(12, 500_000_000)));
        assert_eq!(parse_time("12.0000000019"), Some(time(12, 1)));
        assert_eq!(parse_time("-1"), Some(time(-1, 0)));
        assert_eq!(parse_time("-1.25"), Some(time(-2, 750_000_000)));
        for text in ["", "-", ".", "x", "1.x", "+1", "1.-5", "--1"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let records = Records::parse(&record("size", b"1.5")).unwrap();
        assert!(matches!(
            records.number("size"),
            Err(ArchiveFault::PaxNumber { key: "size", .. })
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Records::parse(&bytes);
        }

        #[test]
        fn every_value_is_read_as_it_was_written(value: Vec<u8>) {
            let records = Records::parse(&record("path", &value)).unwrap();
            prop_assert_eq!(records.get("path").unwrap_or_default(), &value);
        }
    }
}
