//! crc32c as ext4 uses it: each structure's checksum begins with what says which
//! structure it is, so that a block in a wrong place is noticed.

use super::options::Uuid;
use super::units::InodeNumber;

/// A running crc32c, not yet inverted (the kernel's `ext4_chksum` never inverts); or
/// nothing, in a filesystem without `metadata_csum`, where every checksum is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checksum(Option<u32>);

impl Checksum {
    /// What the superblock's checksum begins with.
    pub(super) const START: Self = Self(Some(u32::MAX));

    /// The checksum of a filesystem that has none.
    pub(super) const NONE: Self = Self(None);

    /// What the checksums of a filesystem begin with, but the superblock's.
    pub(super) fn of_filesystem(uuid: Uuid) -> Self {
        Self::START.with(&uuid.0)
    }

    /// What the checksums of an inode and of its blocks begin with; the generation
    /// of our inodes is 0.
    pub(super) fn of_inode(self, number: InodeNumber) -> Self {
        self.with_u32(number.0).with_u32(0)
    }

    /// Goes on with `bytes`.
    #[must_use]
    pub(super) fn with(self, bytes: &[u8]) -> Self {
        Self(self.0.map(|sum| !crc32c::crc32c_append(!sum, bytes)))
    }

    /// Goes on with a little-endian integer.
    #[must_use]
    pub(super) fn with_u32(self, value: u32) -> Self {
        self.with(&value.to_le_bytes())
    }

    /// Whether there are checksums.
    pub(super) fn is_some(self) -> bool {
        self.0.is_some()
    }

    /// The checksum.
    pub(super) fn value(self) -> u32 {
        self.0.unwrap_or(0)
    }

    /// Its low half.
    #[expect(clippy::cast_possible_truncation, reason = "the other half is `high`")]
    pub(super) fn low(self) -> u16 {
        self.value() as u16
    }

    /// Its high half.
    pub(super) fn high(self) -> u16 {
        (self.value() >> 16) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0xE3069283 is the check value that every description of crc32c gives.
    #[test]
    fn it_is_crc32c_without_the_last_inversion() {
        assert_eq!(!Checksum::START.with(b"123456789").value(), 0xE306_9283);
    }

    #[test]
    fn it_goes_on_where_it_stopped() {
        let whole = Checksum::START.with(b"123456789");
        assert_eq!(Checksum::START.with(b"1234").with(b"56789"), whole);
    }
}
