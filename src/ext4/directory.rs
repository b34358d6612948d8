//! Directories: a block of entries, or a tree of blocks ordered by the hash of names.
//!
//! ```text
//!  block 0, the root     blocks 1 to n, inner nodes       the leaves
//! ┌─────────────────┐   (only past 507 leaves)         ┌────────────────┐
//! │ .  ..           │   ┌──────────────────────────┐   │ entries by hash│
//! │ hash ≥ 0 → node ├──▶│ hash ≥ 0 → leaf          ├──▶│ … a fifth free │
//! │ hash ≥ x → node │   │ hash ≥ y → leaf          │   │ checksum       │
//! │ checksum        │   │ checksum                 │   └────────────────┘
//! └─────────────────┘   └──────────────────────────┘
//! ```
//!
//! Source: <https://docs.kernel.org/filesystems/ext4/directory.html>; how full the
//! leaves are is e2fsck's choice (`e2fsck/rehash.c`).

use std::ops::Range;

use super::checksum::Checksum;
use super::format::{
    DIRECTORY_BLOCK_SPACE, DIRECTORY_TAIL_TYPE, DX_ENTRY_SIZE, DX_NODE_ENTRIES_OFFSET,
    DX_ROOT_ENTRIES_OFFSET, DX_ROOT_INFO_LENGTH, DX_TAIL_SIZE, DirectoryEntry, DirectoryTail,
    DxCountLimit, DxRootInfo, HASH_HALF_MD4, file_type, structure_at,
};
use super::hash::NameHash;
use super::options::HashSeed;
use super::units::{BLOCK_SIZE, InodeNumber, u16_of, u32_of};

/// A directory with all that its blocks say.
pub(super) struct Directory<'a> {
    /// What `.` is.
    pub number: InodeNumber,
    /// What `..` is.
    pub parent: InodeNumber,
    /// The entries but these two, in the order of their names.
    pub entries: Vec<Entry<'a>>,
}

/// A name and what it names.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub name: &'a [u8],
    pub inode: InodeNumber,
    /// One of [`file_type`].
    pub file_type: u8,
}

/// A directory whose names do not fit into the largest hash tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyEntries;

/// Entries of the root of a hash tree.
const ROOT_LIMIT: usize = (BLOCK_SIZE - DX_ROOT_ENTRIES_OFFSET - DX_TAIL_SIZE) / DX_ENTRY_SIZE;
/// Entries of an inner node.
const NODE_LIMIT: usize = (BLOCK_SIZE - DX_NODE_ENTRIES_OFFSET - DX_TAIL_SIZE) / DX_ENTRY_SIZE;
const _: () = assert!(ROOT_LIMIT == 507 && NODE_LIMIT == 510);

/// Bytes of a leaf that we fill: a fifth stays free, so that the first files that
/// somebody adds do not split every leaf.
const LEAF_FILL: usize = DIRECTORY_BLOCK_SPACE * 4 / 5;

/// Bytes of `.` or `..`.
const DOT_SIZE: usize = entry_size(1);

/// Blocks of a directory with these names.
pub(super) fn block_count<'a>(
    names: impl Iterator<Item = &'a [u8]> + Clone,
    seed: HashSeed,
) -> Result<u64, TooManyEntries> {
    if fits_one_block(names.clone()) {
        return Ok(1);
    }
    let hashed = by_hash(names.enumerate(), seed);
    HashTree::of(&hashed).map(|tree| tree.blocks() as u64)
}

/// Whether a directory of this many blocks has a hash tree; `lost+found`, which is
/// made of empty blocks, is not asked.
pub(super) fn is_indexed(blocks: u64) -> bool {
    blocks > 1
}

/// Fills the blocks of a directory: as many as [`block_count`] said, or more if it has
/// no hash tree. `checksum` is its inode's.
pub(super) fn encode(
    directory: &Directory<'_>,
    seed: HashSeed,
    checksum: Checksum,
    blocks: &mut [u8],
) {
    let names = directory.entries.iter().map(|entry| entry.name);
    if fits_one_block(names.clone()) {
        let (first, empty) = blocks.split_at_mut(BLOCK_SIZE);
        let dots = [directory.dot(), directory.dot_dot()];
        encode_leaf(
            dots.into_iter().chain(directory.entries.iter().copied()),
            checksum,
            first,
        );
        for block in empty.chunks_exact_mut(BLOCK_SIZE) {
            encode_leaf(std::iter::empty(), checksum, block);
        }
        return;
    }
    let hashed = by_hash(names.enumerate(), seed);
    let tree = HashTree::of(&hashed).expect("its blocks were counted, and it was not too large");
    tree.encode(directory, &hashed, checksum, blocks);
}

impl<'a> Directory<'a> {
    fn dot(&self) -> Entry<'a> {
        Entry {
            name: b".",
            inode: self.number,
            file_type: file_type::DIRECTORY,
        }
    }

    fn dot_dot(&self) -> Entry<'a> {
        Entry {
            name: b"..",
            inode: self.parent,
            file_type: file_type::DIRECTORY,
        }
    }
}

/// A name in the order of hashes.
struct Hashed {
    hash: NameHash,
    /// Place among the directory's entries.
    index: usize,
    /// Bytes of its entry.
    size: usize,
}

/// Names by hash; names of one hash stay in the order of their bytes.
fn by_hash<'a>(names: impl Iterator<Item = (usize, &'a [u8])>, seed: HashSeed) -> Vec<Hashed> {
    let mut hashed: Vec<_> = names
        .map(|(index, name)| Hashed {
            hash: NameHash::of(name, seed),
            index,
            size: entry_size(name.len()),
        })
        .collect();
    hashed.sort_unstable_by_key(|name| (name.hash, name.index));
    hashed
}

/// The blocks of a hash tree.
struct HashTree {
    /// The names of each leaf.
    leaves: Vec<Range<usize>>,
    /// Inner nodes between the root and the leaves.
    nodes: usize,
}

impl HashTree {
    fn of(hashed: &[Hashed]) -> Result<Self, TooManyEntries> {
        let leaves = leaves(hashed);
        let nodes = if leaves.len() <= ROOT_LIMIT {
            0
        } else {
            leaves.len().div_ceil(NODE_LIMIT)
        };
        if nodes > ROOT_LIMIT {
            return Err(TooManyEntries);
        }
        Ok(Self { leaves, nodes })
    }

    fn blocks(&self) -> usize {
        1 + self.nodes + self.leaves.len()
    }

    fn encode(
        &self,
        directory: &Directory<'_>,
        hashed: &[Hashed],
        checksum: Checksum,
        blocks: &mut [u8],
    ) {
        let (root, rest) = blocks.split_at_mut(BLOCK_SIZE);
        let (nodes, leaves) = rest.split_at_mut(self.nodes * BLOCK_SIZE);
        for (names, block) in self.leaves.iter().zip(leaves.chunks_exact_mut(BLOCK_SIZE)) {
            let entries = hashed[names.clone()]
                .iter()
                .map(|name| directory.entries[name.index]);
            encode_leaf(entries, checksum, block);
        }

        let first_leaf = 1 + self.nodes;
        let mut pointers: Vec<_> = (0..self.leaves.len())
            .map(|leaf| Pointer {
                hash: self.first_hash(hashed, leaf),
                block: first_leaf + leaf,
            })
            .collect();
        if self.nodes > 0 {
            for (pointers, block) in pointers
                .chunks(NODE_LIMIT)
                .zip(nodes.chunks_exact_mut(BLOCK_SIZE))
            {
                encode_node(pointers, checksum, block);
            }
            pointers = pointers
                .chunks(NODE_LIMIT)
                .enumerate()
                .map(|(node, pointers)| Pointer {
                    hash: pointers[0].hash,
                    block: 1 + node,
                })
                .collect();
        }
        self.encode_root(directory, &pointers, checksum, root);
    }

    /// The hash that leads to a leaf: of its first name, marked if the leaf before
    /// ends with the same one.
    fn first_hash(&self, hashed: &[Hashed], leaf: usize) -> u32 {
        let first = self.leaves[leaf].start;
        let hash = hashed[first].hash.major;
        let goes_on = first > 0 && hashed[first - 1].hash.major == hash;
        hash | u32::from(goes_on)
    }

    fn encode_root(
        &self,
        directory: &Directory<'_>,
        pointers: &[Pointer],
        checksum: Checksum,
        block: &mut [u8],
    ) {
        encode_entry(&directory.dot(), DOT_SIZE, &mut block[..DOT_SIZE]);
        let rest = &mut block[DOT_SIZE..];
        encode_entry(&directory.dot_dot(), BLOCK_SIZE - DOT_SIZE, rest);
        let info: &mut DxRootInfo = structure_at(block, 2 * DOT_SIZE);
        info.hash_version = HASH_HALF_MD4;
        info.info_length = DX_ROOT_INFO_LENGTH;
        info.indirect_levels = u8::from(self.nodes > 0);
        encode_pointers(
            pointers,
            DX_ROOT_ENTRIES_OFFSET,
            ROOT_LIMIT,
            checksum,
            block,
        );
    }
}

/// An entry of a node of a hash tree: names from `hash` on are in or below `block`.
struct Pointer {
    hash: u32,
    block: usize,
}

/// The names of each leaf: as many as fill it to [`LEAF_FILL`].
fn leaves(hashed: &[Hashed]) -> Vec<Range<usize>> {
    let mut leaves = Vec::new();
    let mut start = 0;
    let mut used = 0;
    for (index, name) in hashed.iter().enumerate() {
        if used + name.size > LEAF_FILL {
            leaves.push(start..index);
            start = index;
            used = 0;
        }
        used += name.size;
    }
    leaves.push(start..hashed.len());
    leaves
}

fn encode_node(pointers: &[Pointer], checksum: Checksum, block: &mut [u8]) {
    let unused: &mut DirectoryEntry = structure_at(block, 0);
    unused.rec_len.set(u16_of(BLOCK_SIZE));
    encode_pointers(
        pointers,
        DX_NODE_ENTRIES_OFFSET,
        NODE_LIMIT,
        checksum,
        block,
    );
}

fn encode_pointers(
    pointers: &[Pointer],
    offset: usize,
    limit: usize,
    checksum: Checksum,
    block: &mut [u8],
) {
    for (pointer, bytes) in pointers
        .iter()
        .zip(block[offset..].chunks_exact_mut(DX_ENTRY_SIZE))
    {
        let (hash, number) = bytes.split_at_mut(DX_ENTRY_SIZE / 2);
        hash.copy_from_slice(&pointer.hash.to_le_bytes());
        number.copy_from_slice(&u32_of(pointer.block).to_le_bytes());
    }
    let count_limit: &mut DxCountLimit = structure_at(block, offset);
    count_limit.limit.set(u16_of(limit));
    count_limit.count.set(u16_of(pointers.len()));
    let covered = &block[..offset + pointers.len() * DX_ENTRY_SIZE];
    // The tail's reserved word and its checksum count as zeros.
    let sum = checksum.with(covered).with(&[0; DX_TAIL_SIZE]).value();
    let tail = offset + limit * DX_ENTRY_SIZE;
    block[tail + DX_TAIL_SIZE / 2..tail + DX_TAIL_SIZE].copy_from_slice(&sum.to_le_bytes());
}

/// A block of entries; the last one, or an unused one, reaches to the checksum.
fn encode_leaf<'a>(entries: impl Iterator<Item = Entry<'a>>, checksum: Checksum, block: &mut [u8]) {
    let mut at = 0;
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        let unused: &mut DirectoryEntry = structure_at(block, 0);
        unused.rec_len.set(u16_of(DIRECTORY_BLOCK_SPACE));
    }
    while let Some(entry) = entries.next() {
        let size = match entries.peek() {
            Some(_) => entry_size(entry.name.len()),
            None => DIRECTORY_BLOCK_SPACE - at,
        };
        encode_entry(&entry, size, &mut block[at..]);
        at += size;
    }
    let sum = checksum.with(&block[..DIRECTORY_BLOCK_SPACE]).value();
    let tail: &mut DirectoryTail = structure_at(block, DIRECTORY_BLOCK_SPACE);
    tail.det_rec_len.set(u16_of(size_of::<DirectoryTail>()));
    tail.det_reserved_ft = DIRECTORY_TAIL_TYPE;
    tail.det_checksum.set(sum);
}

fn encode_entry(entry: &Entry<'_>, size: usize, bytes: &mut [u8]) {
    let head: &mut DirectoryEntry = structure_at(bytes, 0);
    head.inode.set(entry.inode.0);
    head.rec_len.set(u16_of(size));
    head.name_len = u8::try_from(entry.name.len()).expect("a Name has at most 255 bytes");
    head.file_type = entry.file_type;
    let name = size_of::<DirectoryEntry>();
    bytes[name..name + entry.name.len()].copy_from_slice(entry.name);
}

fn fits_one_block<'a>(names: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut used = 2 * DOT_SIZE;
    for name in names {
        used += entry_size(name.len());
        if used > DIRECTORY_BLOCK_SPACE {
            return false;
        }
    }
    true
}

/// Bytes of an entry: its head and its name, up to a multiple of 4.
const fn entry_size(name_length: usize) -> usize {
    (size_of::<DirectoryEntry>() + name_length).next_multiple_of(4)
}
