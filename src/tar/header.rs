//! The ustar header, and what of a file does not fit into it.
//!
//! A record holds what a field cannot. The field then has something near, for readers
//! that do not know pax: it gives no file to root, and no name that leads elsewhere.

use tar::{EntryType, Header as Block};

use super::pax::Records;
use crate::tree::{Kind, Metadata, Node, Timestamp};

/// The largest number in a field of eight bytes: seven octal digits and a NUL byte.
pub(super) const MAX_SMALL: u64 = 0o7_777_777;
/// The largest number in a field of twelve bytes.
const MAX_LARGE: u64 = 0o77_777_777_777;
/// Bytes in the longest name.
const MAX_NAME: usize = 100;
/// Owner of a file whose owner does not fit: nobody.
const NOBODY: u64 = 65_534;
/// What precedes the number of the entry in the name of its records.
pub(super) const PAX_NAME: &str = "./PaxHeaders/";

/// A header of 512 bytes.
pub(super) struct Header(Block);

impl Header {
    /// The header of the file `node` by its only or first name.
    pub(super) fn of_file(path: &[u8], node: &Node) -> (Self, Records) {
        let kind = match &node.kind {
            Kind::Directory(_) => EntryType::Directory,
            Kind::File(_) => EntryType::Regular,
            Kind::Symlink(_) => EntryType::Symlink,
            Kind::CharacterDevice(_) => EntryType::Char,
            Kind::BlockDevice(_) => EntryType::Block,
            Kind::Fifo => EntryType::Fifo,
        };
        let mut fields = Fields::new(kind, path, &node.metadata);
        match &node.kind {
            Kind::File(source) => fields.size(source.length),
            Kind::Symlink(target) => fields.link(target),
            Kind::CharacterDevice(number) | Kind::BlockDevice(number) => {
                let device = "a ustar header has device numbers";
                fields.block.set_device_major(number.major).expect(device);
                fields.block.set_device_minor(number.minor).expect(device);
            }
            Kind::Directory(_) | Kind::Fifo => {}
        }
        for (name, value) in node.metadata.xattrs.iter().flat_map(|xattrs| xattrs.iter()) {
            fields.records.xattr(name, value);
        }
        fields.finish()
    }

    /// The header of one more name of the file `node`, whose first is `first`.
    pub(super) fn of_link(path: &[u8], first: &[u8], node: &Node) -> (Self, Records) {
        let mut fields = Fields::new(EntryType::Link, path, &node.metadata);
        fields.link(first);
        fields.finish()
    }

    /// The header of `size` bytes of records.
    pub(super) fn of_records(name: &[u8], size: u64) -> Self {
        let metadata = Metadata::of_root(0o644, Timestamp::from_seconds(0));
        let mut fields = Fields::new(EntryType::XHeader, name, &metadata);
        fields.size(size);
        fields.finish().0
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A header and its records in the making.
struct Fields {
    block: Block,
    records: Records,
}

impl Fields {
    fn new(kind: EntryType, path: &[u8], metadata: &Metadata) -> Self {
        let mut this = Self {
            block: Block::new_ustar(),
            records: Records::default(),
        };
        this.block.set_entry_type(kind);
        this.block.set_mode(metadata.mode.into());
        this.block.set_size(0);
        this.path(path);
        let uid = this.number("uid", metadata.uid.into(), MAX_SMALL, NOBODY);
        this.block.set_uid(uid);
        let gid = this.number("gid", metadata.gid.into(), MAX_SMALL, NOBODY);
        this.block.set_gid(gid);
        this.mtime(metadata.mtime);
        this
    }

    fn path(&mut self, path: &[u8]) {
        if !is_plain(path) {
            self.records.bytes("path", path);
        }
        copy(path, &mut self.block.as_old_mut().name);
    }

    fn link(&mut self, target: &[u8]) {
        if !is_plain(target) {
            self.records.bytes("linkpath", target);
        }
        copy(target, &mut self.block.as_old_mut().linkname);
    }

    fn size(&mut self, size: u64) {
        let size = self.number("size", size, MAX_LARGE, MAX_LARGE);
        self.block.set_size(size);
    }

    fn mtime(&mut self, time: Timestamp) {
        let seconds = time.seconds.clamp(0, MAX_LARGE.cast_signed());
        if time != Timestamp::from_seconds(seconds) {
            self.records.time("mtime", time);
        }
        self.block.set_mtime(seconds.cast_unsigned());
    }

    /// What a field holds of `number`: `instead` if that is more than `max`.
    fn number(&mut self, key: &str, number: u64, max: u64, instead: u64) -> u64 {
        if number <= max {
            return number;
        }
        self.records.bytes(key, number.to_string().as_bytes());
        instead
    }

    fn finish(mut self) -> (Header, Records) {
        self.block.set_cksum();
        (Header(self.block), self.records)
    }
}

/// Whether a field holds `name` as it is.
fn is_plain(name: &[u8]) -> bool {
    name.len() <= MAX_NAME && name.iter().all(|byte| is_plain_byte(*byte))
}

fn is_plain_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Fills `field` with `name`, as far as it fits. What was cut off ends in no slash, by
/// which old readers would know a directory.
fn copy(name: &[u8], field: &mut [u8; MAX_NAME]) {
    for (byte, to) in name.iter().zip(&mut *field) {
        *to = if is_plain_byte(*byte) { *byte } else { b'_' };
    }
    if name.len() > MAX_NAME && field[MAX_NAME - 1] == b'/' {
        field[MAX_NAME - 1] = b'_';
    }
}
