//! Inodes: what `stat` tells of a file, and the root of its extent tree.
//!
//! Source: <https://docs.kernel.org/filesystems/ext4/dynamic.html#index-nodes>.

use super::checksum::Checksum;
use super::format::{EXTRA_ISIZE, INODE_EXTENTS, INODE_INDEX, Inode, structure_at};
use super::units::{BLOCK_BYTES, Block, INODE_SIZE};
use super::xattr;
use crate::tree::{DeviceNumber, Timestamp};

/// All that an inode says.
pub(super) struct Fields<'a> {
    /// Type and permissions: `i_mode`.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// The time of the last change of content.
    pub mtime: Timestamp,
    /// The other three times.
    pub time: Timestamp,
    /// Names.
    pub links: u16,
    /// Bytes.
    pub size: u64,
    /// Blocks of whatever kind that the file takes.
    pub blocks: u64,
    pub map: Map,
    pub xattrs: &'a xattr::Placed,
    pub xattr_block: Option<Block>,
}

/// What `i_block` holds.
pub(super) enum Map {
    /// The root of an extent tree.
    Extents {
        root: [u8; 60],
        /// Whether the blocks are a hash tree of names.
        indexed: bool,
    },
    /// Anything else: pointers to blocks, a short symlink's target, a device's number.
    Other([u8; 60]),
}

/// Symlinks of fewer bytes than this stand in the inode.
pub(super) const SHORT_SYMLINK: usize = 60;

/// Times that an inode can hold: 32 bits from 1970, and two bits that move them on.
pub(super) const TIME_RANGE: std::ops::RangeInclusive<i64> =
    (i32::MIN as i64)..=(3 * (1 << 32) + i32::MAX as i64);

/// Times of that range, 2310-04-04 to 2378-04-22, that e2fsck takes for times before 1970
/// which an old kernel wrote with the wrong epoch; the kernel reads them as they are.
pub(super) const MISTAKEN_TIMES: std::ops::Range<i64> =
    (3 * (1 << 32) + i32::MIN as i64)..(3 * (1 << 32));

/// Sectors of 512 bytes, in which `i_blocks` counts, of a block.
const SECTORS_PER_BLOCK: u64 = BLOCK_BYTES / 512;

impl Fields<'_> {
    /// Writes the inode into `bytes`, which are zero. `checksum` is the inode's.
    pub(super) fn encode(&self, checksum: Checksum, bytes: &mut [u8]) {
        let inode: &mut Inode = structure_at(bytes, 0);
        inode.i_mode.set(self.mode);
        (inode.i_uid, inode.i_uid_high) = halves(self.uid);
        (inode.i_gid, inode.i_gid_high) = halves(self.gid);
        inode.i_links_count.set(self.links);
        (inode.i_size_lo, inode.i_size_high) = words(self.size);
        let (sectors, sectors_high) = words(self.blocks * SECTORS_PER_BLOCK);
        inode.i_blocks_lo = sectors;
        inode.i_blocks_high = halves(sectors_high.get()).0;
        match &self.map {
            Map::Extents { root, indexed } => {
                inode.i_block = *root;
                inode
                    .i_flags
                    .set(INODE_EXTENTS | if *indexed { INODE_INDEX } else { 0 });
            }
            Map::Other(block) => inode.i_block = *block,
        }
        inode.i_extra_isize.set(EXTRA_ISIZE);
        (inode.i_mtime, inode.i_mtime_extra) = encode_time(self.mtime);
        (inode.i_atime, inode.i_atime_extra) = encode_time(self.time);
        (inode.i_ctime, inode.i_ctime_extra) = encode_time(self.time);
        (inode.i_crtime, inode.i_crtime_extra) = encode_time(self.time);
        if let Some(block) = self.xattr_block {
            inode.i_file_acl_lo.set(block.low());
            inode.i_file_acl_high = halves(block.high()).0;
        }
        self.xattrs.encode_in_inode(&mut inode.i_xattrs);

        // Without checksums both halves stay 0.
        let sum = checksum.with(&bytes[..INODE_SIZE]);
        let inode: &mut Inode = structure_at(bytes, 0);
        inode.i_checksum_lo.set(sum.low());
        inode.i_checksum_hi.set(sum.high());
    }
}

/// `i_block` with the number of a device, in the kernel's old form where it fits.
pub(super) fn encode_device(DeviceNumber { major, minor }: DeviceNumber) -> [u8; 60] {
    let mut block = [0; 60];
    if major < 256 && minor < 256 {
        block[..4].copy_from_slice(&(major << 8 | minor).to_le_bytes());
    } else {
        let number = (minor & 0xFF) | (major << 8) | ((minor & !0xFF) << 12);
        block[4..8].copy_from_slice(&number.to_le_bytes());
    }
    block
}

/// A time as its field and its `_extra` field: the low 32 bits, then two bits of the
/// epoch below the nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range was checked, and the bits are shared out"
)]
fn encode_time(time: Timestamp) -> (zerocopy::little_endian::U32, zerocopy::little_endian::U32) {
    let low = time.seconds as i32;
    let epoch = ((time.seconds - i64::from(low)) >> 32) as u32;
    ((low as u32).into(), (time.nanoseconds << 2 | epoch).into())
}

#[expect(clippy::cast_possible_truncation, reason = "it is cut in two")]
fn halves(value: u32) -> (zerocopy::little_endian::U16, zerocopy::little_endian::U16) {
    ((value as u16).into(), ((value >> 16) as u16).into())
}

#[expect(clippy::cast_possible_truncation, reason = "it is cut in two")]
fn words(value: u64) -> (zerocopy::little_endian::U32, zerocopy::little_endian::U32) {
    ((value as u32).into(), ((value >> 32) as u32).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's document gives these.
    #[test]
    fn times_reach_from_1901_to_2446() {
        for (seconds, low, extra) in [
            (*TIME_RANGE.start(), 0x8000_0000, 0),
            (-1, 0xFFFF_FFFF, 0),
            (0, 0, 0),
            (0x7FFF_FFFF, 0x7FFF_FFFF, 0),
            (0x8000_0000, 0x8000_0000, 1),
            (0x1_0000_0000, 0, 1),
            (0x1_8000_0000, 0x8000_0000, 2),
            (*TIME_RANGE.end(), 0x7FFF_FFFF, 3),
        ] {
            let (field, extra_field) = encode_time(Timestamp::from_seconds(seconds));
            assert_eq!((field.get(), extra_field.get()), (low, extra), "{seconds}");
        }
        assert_eq!(*TIME_RANGE.start(), -0x8000_0000);
        assert_eq!(*TIME_RANGE.end(), 0x3_7FFF_FFFF);
    }

    #[test]
    fn large_device_numbers_take_the_new_form() {
        assert_eq!(
            encode_device(DeviceNumber { major: 8, minor: 1 })[..8],
            [1, 8, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            encode_device(DeviceNumber {
                major: 259,
                minor: 256
            })[..8],
            [0, 0, 0, 0, 0x00, 0x03, 0x11, 0x00]
        );
    }
}
