//! The entries of an archive: which, in what order, and what stands before each content.

use super::header::{Header, MAX_SMALL, PAX_NAME};
use super::pax::Records;
use super::{BLOCK_SIZE, TarError, TarFault};
use crate::tree::{DeviceNumber, Kind, Name, Node, NodeId, Tree};

/// Bytes of a block.
const BLOCK: usize = 512;
const _: () = assert!(BLOCK as u64 == BLOCK_SIZE);

/// Every name of a tree, a directory before what is in it.
pub(super) struct Inventory {
    tree: Tree,
    entries: Vec<Entry>,
}

/// A name.
struct Entry {
    node: NodeId,
    /// The directory and the name in it; the root has none.
    name: Option<(usize, Name)>,
    /// The entry whose file it is, if that has a name already.
    first: Option<usize>,
}

impl Inventory {
    pub(super) fn new(tree: Tree) -> Result<Self, TarError> {
        let mut first_of: Vec<Option<usize>> = vec![None; tree.len()];
        let mut this = Self {
            tree,
            entries: Vec::new(),
        };
        let mut todo = vec![(Tree::ROOT, None)];
        while let Some((node, name)) = todo.pop() {
            let index = this.entries.len();
            let first = first_of[node.index()];
            this.entries.push(Entry { node, name, first });
            check(this.content(index), index, first).map_err(|fault| TarError {
                path: String::from_utf8_lossy(&this.path(index)).into_owned(),
                fault,
            })?;
            first_of[node.index()].get_or_insert(index);
            let below = todo.len();
            let entries = this.tree.entries(node);
            todo.extend(entries.map(|(name, node)| (node, Some((index, name.clone())))));
            todo[below..].reverse();
        }
        Ok(this)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The file that an entry names.
    pub(super) fn content(&self, index: usize) -> &Node {
        self.tree.node(self.entries[index].node)
    }

    /// The place of the file that an entry names.
    pub(super) fn node(&self, index: usize) -> NodeId {
        self.entries[index].node
    }

    /// Whether an entry is but one more name of a file.
    pub(super) fn is_link(&self, index: usize) -> bool {
        self.entries[index].first.is_some()
    }

    /// Bytes before the content of an entry, a multiple of a block.
    pub(super) fn head_size(&self, index: usize) -> u64 {
        let records = self.header(index).1.encode();
        let blocks = match records.len() {
            0 => 1,
            length => 2 + length.div_ceil(BLOCK),
        };
        blocks as u64 * BLOCK_SIZE
    }

    /// Fills `bytes` with what stands before the content of an entry.
    pub(super) fn encode_head(&self, index: usize, bytes: &mut [u8]) {
        let (header, records) = self.header(index);
        let records = records.encode();
        let (extension, own) = bytes.split_at_mut(bytes.len() - BLOCK);
        own.copy_from_slice(header.as_bytes());
        if !extension.is_empty() {
            let name = format!("{PAX_NAME}{index}");
            let header = Header::of_records(name.as_bytes(), records.len() as u64);
            extension[..BLOCK].copy_from_slice(header.as_bytes());
            extension[BLOCK..][..records.len()].copy_from_slice(&records);
        }
    }

    /// The header of an entry, and the records with what did not fit.
    fn header(&self, index: usize) -> (Header, Records) {
        let entry = &self.entries[index];
        let path = self.path(index);
        match entry.first {
            Some(first) => Header::of_link(&path, &self.path(first), self.content(index)),
            None => Header::of_file(&path, self.content(index)),
        }
    }

    /// The name of an entry, `./` and all that leads to it.
    fn path(&self, index: usize) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = index;
        while let Some((parent, name)) = &self.entries[at].name {
            names.push(name.as_bytes());
            at = *parent;
        }
        names.push(b".");
        names.reverse();
        if names.len() == 1 {
            names.push(b"");
        }
        names.join(&b'/')
    }
}

/// Whether an archive can hold `node` as its entry `index`; it has the entry `first`
/// already.
fn check(node: &Node, index: usize, first: Option<usize>) -> Result<(), TarFault> {
    if index == 0 && !node.is_directory() {
        return Err(TarFault::Root);
    }
    if first.is_some() && node.is_directory() {
        return Err(TarFault::DirectoryLink);
    }
    let metadata = &node.metadata;
    if metadata.mode > 0o7777 {
        let mode = metadata.mode;
        return Err(TarFault::Mode { mode });
    }
    if metadata.mtime.nanoseconds >= 1_000_000_000 {
        let nanoseconds = metadata.mtime.nanoseconds;
        return Err(TarFault::Nanoseconds { nanoseconds });
    }
    let nul_in = |field| Err(TarFault::Nul { field });
    let mut xattrs = metadata.xattrs.iter().flat_map(|xattrs| xattrs.keys());
    if xattrs.any(|name| name.contains(&0)) {
        return nul_in("xattr's name");
    }
    match &node.kind {
        Kind::Symlink(target) if target.is_empty() => Err(TarFault::EmptySymlink),
        Kind::Symlink(target) if target.contains(&0) => nul_in("symlink's target"),
        Kind::CharacterDevice(number) | Kind::BlockDevice(number) => check_device(*number),
        _ => Ok(()),
    }
}

fn check_device(DeviceNumber { major, minor }: DeviceNumber) -> Result<(), TarFault> {
    if u64::from(major.max(minor)) > MAX_SMALL {
        return Err(TarFault::Device { major, minor });
    }
    Ok(())
}
