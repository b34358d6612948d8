//! Pax records, `length key=value` lines whose values are bytes and may hold newlines.

use std::io::Write as _;

use crate::tree::Timestamp;

const NANOSECONDS: u32 = 1_000_000_000;

/// Records of one entry, in the order in which they were given.
#[derive(Default)]
pub(super) struct Records(Vec<u8>);

impl Records {
    /// All of them, without padding.
    pub(super) fn encode(self) -> Vec<u8> {
        self.0
    }

    /// A record with any value.
    pub(super) fn bytes(&mut self, key: &str, value: &[u8]) {
        self.record(key.as_bytes(), value);
    }

    /// A decimal number of seconds.
    pub(super) fn time(&mut self, key: &str, time: Timestamp) {
        self.record(key.as_bytes(), decimal(time).as_bytes());
    }

    /// An extended attribute. In its name, GNU tar reads `%3D` as `=` and `%25` as `%`.
    pub(super) fn xattr(&mut self, name: &[u8], value: &[u8]) {
        let mut key = b"SCHILY.xattr.".to_vec();
        for byte in name {
            match byte {
                b'=' => key.extend(b"%3D"),
                b'%' => key.extend(b"%25"),
                byte => key.push(*byte),
            }
        }
        self.record(&key, value);
    }

    fn record(&mut self, key: &[u8], value: &[u8]) {
        let length = record_length(key.len() + value.len() + " =\n".len());
        write!(self.0, "{length} ").expect("a vector takes all");
        for part in [key, b"=", value, b"\n"] {
            self.0.extend_from_slice(part);
        }
    }
}

/// Bytes of a record with its length in decimal, of which `rest` are not that.
fn record_length(rest: usize) -> usize {
    let mut length = rest + 1;
    while rest + digits(length) != length {
        length = rest + digits(length);
    }
    length
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

fn decimal(time: Timestamp) -> String {
    let Timestamp {
        seconds,
        nanoseconds,
    } = time;
    let text = match (seconds, nanoseconds) {
        (_, 0) => return seconds.to_string(),
        (0.., _) => format!("{seconds}.{nanoseconds:09}"),
        _ => format!("-{}.{:09}", -(seconds + 1), NANOSECONDS - nanoseconds),
    };
    text.trim_end_matches('0').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(records: Records) -> String {
        String::from_utf8(records.encode()).unwrap()
    }

    #[test]
    fn a_length_counts_its_own_digits() {
        let record = |length: usize| {
            let mut records = Records::default();
            records.bytes("k", &vec![b'v'; length]);
            text(records)
        };
        assert_eq!(record(0), "5 k=\n");
        assert_eq!(record(4), "9 k=vvvv\n");
        assert_eq!(record(5), "11 k=vvvvv\n");
        for length in 0..2000 {
            let record = record(length);
            let told: usize = record.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(told, record.len());
        }
    }

    #[test]
    fn times_have_fractions_and_signs() {
        for (seconds, nanoseconds, expected) in [
            (0, 0, "0"),
            (12, 500_000_000, "12.5"),
            (12, 1, "12.000000001"),
            (-1, 0, "-1"),
            (-2, 750_000_000, "-1.25"),
            (-1, 999_999_999, "-0.000000001"),
            (100, 0, "100"),
        ] {
            let time = Timestamp {
                seconds,
                nanoseconds,
            };
            assert_eq!(decimal(time), expected);
        }
    }

    #[test]
    fn an_equals_sign_in_a_name_is_written_otherwise() {
        let mut records = Records::default();
        records.xattr(b"user.a=b%", b"=");
        assert_eq!(text(records), "32 SCHILY.xattr.user.a%3Db%25==\n");
    }
}
