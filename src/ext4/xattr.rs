//! Extended attributes: in the room behind an inode's fields, and what does not fit
//! there in a block.
//!
//! ```text
//! ┌──────┬───────┬───────┬───────────┬──────────────┬───────┬───────┐
//! │header│entry 1│entry 2│0 0 0 0 … →│  … free …  ← │value 2│value 1│
//! └──────┴───────┴───────┴───────────┴──────────────┴───────┴───────┘
//! ```
//!
//! Source: <https://docs.kernel.org/filesystems/ext4/dynamic.html#extended-attributes>,
//! and `fs/ext4/xattr.c` for the hashes and the order of a block's entries.

use super::checksum::Checksum;
use super::format::{INODE_XATTR_SPACE, XATTR_MAGIC, XattrEntry, XattrHeader, structure_at};
use super::units::{BLOCK_SIZE, Block};
use crate::tree::Xattrs;

/// Why extended attributes cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XattrError {
    /// A name that the kernel would not know either.
    #[error(
        "the extended attribute {name:?} is in no namespace that ext4 stores; these are user., trusted., security., system.posix_acl_access and system.posix_acl_default"
    )]
    Namespace {
        /// The full name.
        name: String,
    },
    /// A name longer than its length field.
    #[error(
        "the extended attribute {name:?} has a name of {length} bytes behind its namespace; ext4 stores at most 255"
    )]
    NameTooLong {
        /// The full name.
        name: String,
        /// Bytes behind the namespace.
        length: usize,
    },
    /// An access control list that is none.
    #[error("the value of {name} is no access control list: {reason}")]
    Acl {
        /// The full name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More than the inode and a block hold.
    #[error(
        "the extended attributes take {needed} bytes; ext4 has room for {INODE_ROOM} in the inode and {BLOCK_ROOM} in a block"
    )]
    TooLarge {
        /// Bytes of all entries and values.
        needed: usize,
    },
}

/// Extended attributes, shared out between the inode and a block.
#[derive(Debug, Default)]
pub(super) struct Placed {
    in_inode: Vec<Attribute>,
    in_block: Vec<Attribute>,
}

/// One attribute as ext4 stores it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attribute {
    // The order of the fields is the order in which a block's entries must be.
    index: u8,
    name_length: usize,
    name: Box<[u8]>,
    value: Box<[u8]>,
}

/// Bytes for entries, their end and values behind the inode's magic.
const INODE_ROOM: usize = INODE_XATTR_SPACE - size_of::<u32>();
/// The same in a block, behind its header.
const BLOCK_ROOM: usize = BLOCK_SIZE - size_of::<XattrHeader>();
/// What ends the entries.
const END: usize = size_of::<u32>();

const ACL_ACCESS: u8 = 2;
const ACL_DEFAULT: u8 = 3;

/// Namespaces, as the start of a full name and as `e_name_index`.
const NAMESPACES: [(&[u8], u8); 3] = [(b"user.", 1), (b"trusted.", 4), (b"security.", 6)];

impl Placed {
    /// Finds a place for each attribute: in the inode as long as there is room.
    pub(super) fn new(xattrs: &Xattrs) -> Result<Self, XattrError> {
        let mut attributes = xattrs
            .iter()
            .map(|(name, value)| Attribute::new(name, value))
            .collect::<Result<Vec<_>, _>>()?;
        attributes.sort();
        let needed = attributes.iter().map(Attribute::size).sum();
        let mut placed = Self::default();
        let (mut inode_left, mut block_left) = (INODE_ROOM - END, BLOCK_ROOM - END);
        for attribute in attributes {
            let size = attribute.size();
            let (place, left) = if size <= inode_left {
                (&mut placed.in_inode, &mut inode_left)
            } else {
                (&mut placed.in_block, &mut block_left)
            };
            *left = left
                .checked_sub(size)
                .ok_or(XattrError::TooLarge { needed })?;
            place.push(attribute);
        }
        Ok(placed)
    }

    /// Whether a block is needed.
    pub(super) fn needs_block(&self) -> bool {
        !self.in_block.is_empty()
    }

    /// Fills the room of an inode.
    pub(super) fn encode_in_inode(&self, room: &mut [u8; INODE_XATTR_SPACE]) {
        if self.in_inode.is_empty() {
            return;
        }
        let (magic, attributes) = room.split_at_mut(size_of::<u32>());
        magic.copy_from_slice(&XATTR_MAGIC.to_le_bytes());
        // Offsets count from the first entry, and hashes stay 0 as mke2fs has them.
        encode_attributes(&self.in_inode, 0, |_| 0, attributes);
    }

    /// Fills the block, which stands at `at`. `checksum` is the filesystem's.
    pub(super) fn encode_block(&self, at: Block, checksum: Checksum, block: &mut [u8]) {
        encode_attributes(
            &self.in_block,
            size_of::<XattrHeader>(),
            Attribute::hash,
            block,
        );
        let header: &mut XattrHeader = structure_at(block, 0);
        header.h_magic.set(XATTR_MAGIC);
        header.h_refcount.set(1);
        header.h_blocks.set(1);
        header.h_hash.set(block_hash(&self.in_block));
        let sum = checksum.with(&at.0.to_le_bytes()).with(block).value();
        let header: &mut XattrHeader = structure_at(block, 0);
        header.h_checksum.set(sum);
    }
}

impl Attribute {
    fn new(full_name: &[u8], value: &[u8]) -> Result<Self, XattrError> {
        let readable = || String::from_utf8_lossy(full_name).into_owned();
        let (index, name): (u8, &[u8]) = match full_name {
            b"system.posix_acl_access" => (ACL_ACCESS, b""),
            b"system.posix_acl_default" => (ACL_DEFAULT, b""),
            _ => NAMESPACES
                .iter()
                .find_map(|&(start, index)| Some((index, full_name.strip_prefix(start)?)))
                .filter(|(_, name)| !name.is_empty())
                .ok_or_else(|| XattrError::Namespace { name: readable() })?,
        };
        if name.len() > usize::from(u8::MAX) {
            return Err(XattrError::NameTooLong {
                name: readable(),
                length: name.len(),
            });
        }
        let value = match index {
            ACL_ACCESS | ACL_DEFAULT => encode_acl(value).map_err(|reason| XattrError::Acl {
                name: readable(),
                reason,
            })?,
            _ => value.into(),
        };
        Ok(Self {
            index,
            name_length: name.len(),
            name: name.into(),
            value,
        })
    }

    /// Bytes of the entry and the value.
    fn size(&self) -> usize {
        self.entry_size() + self.value.len().next_multiple_of(4)
    }

    fn entry_size(&self) -> usize {
        size_of::<XattrEntry>() + self.name.len().next_multiple_of(4)
    }

    /// `e_hash`.
    fn hash(&self) -> u32 {
        let of_name = self
            .name
            .iter()
            .fold(0_u32, |hash, &byte| hash.rotate_left(5) ^ u32::from(byte));
        self.value.chunks(4).fold(of_name, |hash, chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            hash.rotate_left(16) ^ u32::from_le_bytes(word)
        })
    }
}

/// Entries from `start` on, values from the end of `room` backwards.
fn encode_attributes(
    attributes: &[Attribute],
    start: usize,
    hash: impl Fn(&Attribute) -> u32,
    room: &mut [u8],
) {
    let mut entry_at = start;
    let mut value_at = room.len();
    for attribute in attributes {
        let length = attribute.value.len();
        value_at -= length.next_multiple_of(4);
        room[value_at..value_at + length].copy_from_slice(&attribute.value);
        let entry: &mut XattrEntry = structure_at(room, entry_at);
        entry.e_name_len = u8::try_from(attribute.name.len()).expect("longer names were refused");
        entry.e_name_index = attribute.index;
        if length > 0 {
            entry
                .e_value_offs
                .set(u16::try_from(value_at).expect("a block has 4096 bytes"));
        }
        entry
            .e_value_size
            .set(u32::try_from(length).expect("a block has 4096 bytes"));
        entry.e_hash.set(hash(attribute));
        let name_at = entry_at + size_of::<XattrEntry>();
        room[name_at..name_at + attribute.name.len()].copy_from_slice(&attribute.name);
        entry_at += attribute.entry_size();
    }
}

/// `h_hash`: by it the kernel finds blocks that files can share.
fn block_hash(attributes: &[Attribute]) -> u32 {
    let hashes = attributes.iter().map(Attribute::hash);
    if hashes.clone().any(|hash| hash == 0) {
        return 0;
    }
    hashes.fold(0, |all, hash| all.rotate_left(16) ^ hash)
}

/// An access control list as `getxattr` gives it (`linux/posix_acl_xattr.h`) in the
/// shorter form of the disk (`fs/ext4/acl.h`), which has an id only where one counts.
fn encode_acl(value: &[u8]) -> Result<Box<[u8]>, &'static str> {
    const XATTR_VERSION: [u8; 4] = 2_u32.to_le_bytes();
    const DISK_VERSION: [u8; 4] = 1_u32.to_le_bytes();
    const WITH_ID: [u16; 2] = [0x02, 0x08];
    const WITHOUT_ID: [u16; 4] = [0x01, 0x04, 0x10, 0x20];

    let entries = value
        .strip_prefix(&XATTR_VERSION)
        .ok_or("it does not begin with version 2")?;
    let (entries, rest) = entries.as_chunks::<8>();
    if !rest.is_empty() {
        return Err("its length is not 4 and a multiple of 8");
    }
    let mut list = DISK_VERSION.to_vec();
    for entry in entries {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        let short = 4;
        if WITH_ID.contains(&tag) {
            list.extend_from_slice(entry);
        } else if WITHOUT_ID.contains(&tag) {
            list.extend_from_slice(&entry[..short]);
        } else {
            return Err("it has an entry with an unknown tag");
        }
    }
    Ok(list.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xattrs(pairs: &[(&str, &[u8])]) -> Xattrs {
        pairs
            .iter()
            .map(|(name, value)| (name.as_bytes().into(), (*value).into()))
            .collect()
    }

    #[test]
    fn entries_are_ordered_by_index_then_length_then_bytes() {
        let placed = Placed::new(&xattrs(&[
            ("security.a", &[0; 200]),
            ("user.bb", &[0; 200]),
            ("user.c", &[0; 200]),
            ("user.ba", &[0; 200]),
        ]))
        .unwrap();
        let names: Vec<_> = placed
            .in_block
            .iter()
            .map(|attribute| (attribute.index, &*attribute.name))
            .collect();
        assert_eq!(names, [(1, &b"c"[..]), (1, b"ba"), (1, b"bb"), (6, b"a")]);
    }

    #[test]
    fn the_inode_is_filled_to_its_last_byte_before_a_block_is_taken() {
        let fits = INODE_ROOM - END - size_of::<XattrEntry>() - 4;
        assert!(
            !Placed::new(&xattrs(&[("user.n", &vec![1; fits])]))
                .unwrap()
                .needs_block()
        );
        assert!(
            Placed::new(&xattrs(&[("user.n", &vec![1; fits + 1])]))
                .unwrap()
                .needs_block()
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fits = BLOCK_ROOM - END - size_of::<XattrEntry>() - 4;
        assert!(Placed::new(&xattrs(&[("user.n", &vec![1; fits])])).is_ok());
        assert!(matches!(
            Placed::new(&xattrs(&[("user.n", &vec![1; fits + 1])])),
            Err(XattrError::TooLarge { .. })
        ));
        for name in ["user.", "nobody.knows", "system.posix_acl"] {
            assert!(
                matches!(
                    Placed::new(&xattrs(&[(name, b"")])),
                    Err(XattrError::Namespace { .. })
                ),
                "{name}"
            );
        }
    }

    #[test]
    fn an_access_control_list_loses_the_ids_that_mean_nothing() {
        let entry = |tag: u16, permissions: u16, id: u32| {
            [
                &tag.to_le_bytes()[..],
                &permissions.to_le_bytes(),
                &id.to_le_bytes(),
            ]
            .concat()
        };
        let list = [
            2_u32.to_le_bytes().to_vec(),
            entry(1, 6, u32::MAX),
            entry(2, 4, 1000),
            entry(0x20, 4, u32::MAX),
        ]
        .concat();
        let disk = [
            1_u32.to_le_bytes().to_vec(),
            entry(1, 6, 0)[..4].to_vec(),
            entry(2, 4, 1000),
            entry(0x20, 4, 0)[..4].to_vec(),
        ]
        .concat();
        assert_eq!(encode_acl(&list).as_deref(), Ok(&disk[..]));
        assert!(encode_acl(&list[..5]).is_err());
        assert!(encode_acl(&[1, 0, 0, 0]).is_err());
    }
}
