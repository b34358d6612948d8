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
    DIRECTORY_TAIL_TYPE, DX_ENTRY_SIZE, DX_NODE_ENTRIES_OFFSET, DX_ROOT_ENTRIES_OFFSET,
    DX_ROOT_INFO_LENGTH, DX_TAIL_SIZE, DirectoryEntry, DirectoryTail, DxCountLimit, DxRootInfo,
    HASH_HALF_MD4, file_type, structure_at,
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

/// How a filesystem has its directories.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// The key of the hash.
    pub seed: HashSeed,
    /// Whether those of more than a block are hash trees (`dir_index`).
    pub indexed: bool,
    /// Whether blocks end with a checksum (`metadata_csum`).
    pub checksums: bool,
}

/// What a directory takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub blocks: u64,
    /// Whether it is a hash tree.
    pub indexed: bool,
}

/// A directory whose names do not fit into the largest hash tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyEntries;

/// What a directory with these names takes.
pub(super) fn size<'a>(
    names: impl Iterator<Item = &'a [u8]> + Clone,
    style: Style,
) -> Result<Size, TooManyEntries> {
    let linear = linear_blocks(names.clone(), style).len() as u64;
    if linear == 1 || !style.indexed {
        return Ok(Size {
            blocks: linear,
            indexed: false,
        });
    }
    let hashed = by_hash(names.enumerate(), style.seed);
    let tree = HashTree::of(&hashed, style)?;
    Ok(Size {
        blocks: tree.blocks() as u64,
        indexed: true,
    })
}

/// Fills the blocks of a directory: as many as [`size`] said, or more if it is no hash
/// tree. `checksum` is its inode's.
pub(super) fn encode(
    directory: &Directory<'_>,
    style: Style,
    checksum: Checksum,
    blocks: &mut [u8],
) {
    let names = directory.entries.iter().map(|entry| entry.name);
    let linear = linear_blocks(names.clone(), style);
    if linear.len() == 1 || !style.indexed {
        directory.encode_linear(&linear, style, checksum, blocks);
        return;
    }
    let hashed = by_hash(names.enumerate(), style.seed);
    let tree =
        HashTree::of(&hashed, style).expect("its blocks were counted, and it was not too large");
    tree.encode(directory, &hashed, checksum, blocks);
}

impl Style {
    /// Bytes of a block that entries can take.
    fn space(self) -> usize {
        if self.checksums {
            BLOCK_SIZE - size_of::<DirectoryTail>()
        } else {
            BLOCK_SIZE
        }
    }

    /// Bytes of a leaf that we fill: a fifth stays free, so that the first files that
    /// somebody adds do not split every leaf.
    fn leaf_fill(self) -> usize {
        self.space() * 4 / 5
    }

    /// Entries of the root of a hash tree.
    fn root_limit(self) -> usize {
        self.limit(DX_ROOT_ENTRIES_OFFSET)
    }

    /// Entries of an inner node.
    fn node_limit(self) -> usize {
        self.limit(DX_NODE_ENTRIES_OFFSET)
    }

    fn limit(self, offset: usize) -> usize {
        let tail = if self.checksums { DX_TAIL_SIZE } else { 0 };
        (BLOCK_SIZE - offset - tail) / DX_ENTRY_SIZE
    }
}

/// Bytes of `.` or `..`.
const DOT_SIZE: usize = entry_size(1);

/// The names of each block, in their own order, behind `.` and `..` in the first.
fn linear_blocks<'a>(names: impl Iterator<Item = &'a [u8]>, style: Style) -> Vec<Range<usize>> {
    let sizes = names.map(|name| entry_size(name.len()));
    pack(sizes, 2 * DOT_SIZE, style.space())
}

/// Shares sizes out to blocks of `space` bytes each, of which the first has `used`
/// already. There is one block at least.
fn pack(sizes: impl Iterator<Item = usize>, mut used: usize, space: usize) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut start = 0;
    let mut end = 0;
    for size in sizes {
        if used + size > space {
            blocks.push(start..end);
            start = end;
            used = 0;
        }
        used += size;
        end += 1;
    }
    blocks.push(start..end);
    blocks
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

impl Directory<'_> {
    /// Blocks of entries without an index; any that are left over are empty.
    fn encode_linear(
        &self,
        entries: &[Range<usize>],
        style: Style,
        checksum: Checksum,
        blocks: &mut [u8],
    ) {
        let mut entries = entries.iter().map(|range| &self.entries[range.clone()]);
        let dots = [self.dot(), self.dot_dot()];
        let mut dots = Some(&dots[..]);
        for block in blocks.chunks_exact_mut(BLOCK_SIZE) {
            let dots = dots.take().unwrap_or_default();
            let entries = entries.next().unwrap_or_default();
            encode_leaf(
                dots.iter().chain(entries).copied(),
                style.space(),
                checksum,
                block,
            );
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
    style: Style,
    /// The names of each leaf.
    leaves: Vec<Range<usize>>,
    /// Inner nodes between the root and the leaves.
    nodes: usize,
}

impl HashTree {
    fn of(hashed: &[Hashed], style: Style) -> Result<Self, TooManyEntries> {
        let leaves = pack(hashed.iter().map(|name| name.size), 0, style.leaf_fill());
        let nodes = if leaves.len() <= style.root_limit() {
            0
        } else {
            leaves.len().div_ceil(style.node_limit())
        };
        if nodes > style.root_limit() {
            return Err(TooManyEntries);
        }
        Ok(Self {
            style,
            leaves,
            nodes,
        })
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
            encode_leaf(entries, self.style.space(), checksum, block);
        }

        let node_limit = self.style.node_limit();
        let first_leaf = 1 + self.nodes;
        let mut pointers: Vec<_> = (0..self.leaves.len())
            .map(|leaf| Pointer {
                hash: self.first_hash(hashed, leaf),
                block: first_leaf + leaf,
            })
            .collect();
        if self.nodes > 0 {
            for (pointers, block) in pointers
                .chunks(node_limit)
                .zip(nodes.chunks_exact_mut(BLOCK_SIZE))
            {
                encode_node(pointers, node_limit, checksum, block);
            }
            pointers = pointers
                .chunks(node_limit)
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
            self.style.root_limit(),
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

fn encode_node(pointers: &[Pointer], limit: usize, checksum: Checksum, block: &mut [u8]) {
    let unused: &mut DirectoryEntry = structure_at(block, 0);
    unused.rec_len.set(u16_of(BLOCK_SIZE));
    encode_pointers(pointers, DX_NODE_ENTRIES_OFFSET, limit, checksum, block);
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
    if checksum.is_some() {
        let covered = &block[..offset + pointers.len() * DX_ENTRY_SIZE];
        // The tail's reserved word and its checksum count as zeros.
        let sum = checksum.with(covered).with(&[0; DX_TAIL_SIZE]).value();
        let tail = offset + limit * DX_ENTRY_SIZE;
        block[tail + DX_TAIL_SIZE / 2..tail + DX_TAIL_SIZE].copy_from_slice(&sum.to_le_bytes());
    }
}

/// A block of entries; the last one, or an unused one, reaches to the end of `space`,
/// behind which the checksum stands if there is one.
fn encode_leaf<'a>(
    entries: impl Iterator<Item = Entry<'a>>,
    space: usize,
    checksum: Checksum,
    block: &mut [u8],
) {
    let mut at = 0;
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        let unused: &mut DirectoryEntry = structure_at(block, 0);
        unused.rec_len.set(u16_of(space));
    }
    while let Some(entry) = entries.next() {
        let size = match entries.peek() {
            Some(_) => entry_size(entry.name.len()),
            None => space - at,
        };
        encode_entry(&entry, size, &mut block[at..]);
        at += size;
    }
    if checksum.is_some() {
        let sum = checksum.with(&block[..space]).value();
        let tail: &mut DirectoryTail = structure_at(block, space);
        tail.det_rec_len.set(u16_of(size_of::<DirectoryTail>()));
        tail.det_reserved_ft = DIRECTORY_TAIL_TYPE;
        tail.det_checksum.set(sum);
    }
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

/// Bytes of an entry: its head and its name, up to a multiple of 4.
const fn entry_size(name_length: usize) -> usize {
    (size_of::<DirectoryEntry>() + name_length).next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_the_kernel_s() {
        let style = |checksums| Style {
            seed: HashSeed([0; 16]),
            indexed: true,
            checksums,
        };
        assert_eq!(
            (style(true).root_limit(), style(true).node_limit()),
            (507, 510)
        );
        assert_eq!(
            (style(false).root_limit(), style(false).node_limit()),
            (508, 511)
        );
    }

    #[test]
    fn a_block_more_begins_where_one_is_full() {
        for (sizes, last_of_each) in [
            (vec![], vec![0]),
            (vec![40, 36], vec![2]),
            (vec![40, 37, 60], vec![1, 3]),
        ] {
            let blocks = pack(sizes.into_iter(), 24, 100);
            assert_eq!(
                blocks.iter().map(|block| block.end).collect::<Vec<_>>(),
                last_of_each
            );
        }
    }
}
