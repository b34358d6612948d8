//! Writing a tree where nothing stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Directory, DirectoryError, Ownership};
use crate::job::Job;
use crate::source::{Reader, Source, Watch};
use crate::tree::{DeviceNumber, Kind, Metadata, Name, Node, NodeId, Tree};

/// Bytes of a content that are read and written at once.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// What goes with all that is written.
#[derive(Clone, Copy)]
pub struct Writing<'a> {
    /// Whether files get their owners.
    pub ownership: Ownership,
    /// Advances with the contents.
    pub job: &'a Job,
    /// Sees what is marked while it is copied, in the order of the tree's NAR.
    pub watch: &'a dyn Watch,
}

impl fmt::Debug for Writing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing")
            .field("ownership", &self.ownership)
            .finish_non_exhaustive()
    }
}

impl Directory {
    /// Writes what stands at `id` in `tree`, at `name`, where nothing stands.
    pub fn write_new(
        &self,
        name: &Name,
        tree: &Tree,
        id: NodeId,
        writing: &Writing<'_>,
    ) -> Result<(), DirectoryError> {
        let mut writer = Writer {
            top: self,
            tree,
            writing,
            links: linked_nodes(tree, id),
            reader: Reader::default(),
            buffer: Vec::new(),
        };
        let mut open: Vec<_> = writer.node(self, name, id)?.into_iter().collect();
        while let Some(inner) = open.last_mut() {
            if let Some((name, id)) = inner.entries.next() {
                let deeper = writer.node(&inner.directory, name, id)?;
                open.extend(deeper);
                continue;
            }
            inner
                .directory
                .set_metadata(inner.metadata, writing.ownership)?;
            open.pop();
        }
        Ok(())
    }
}

/// A tree that is being written.
struct Writer<'a> {
    /// The directory in which the whole tree is.
    top: &'a Directory,
    tree: &'a Tree,
    writing: &'a Writing<'a>,
    /// The nodes that have several names, each with its first one as a path from `top` on.
    links: BTreeMap<NodeId, Option<PathBuf>>,
    reader: Reader,
    buffer: Vec<u8>,
}

/// A directory that is being filled.
struct Open<'a> {
    directory: Directory,
    metadata: &'a Metadata,
    entries: Box<dyn Iterator<Item = (&'a Name, NodeId)> + 'a>,
}

impl<'a> Writer<'a> {
    /// Writes a node, or begins a directory.
    fn node(
        &mut self,
        parent: &Directory,
        name: &Name,
        id: NodeId,
    ) -> Result<Option<Open<'a>>, DirectoryError> {
        let tree = self.tree;
        let node = tree.node(id);
        match &node.kind {
            Kind::Directory(_) => {
                return Ok(Some(Open {
                    directory: parent.make(name)?,
                    metadata: &node.metadata,
                    entries: Box::new(tree.entries(id)),
                }));
            }
            _ if self.link(parent, name, id)? => return Ok(None),
            Kind::File(source) => self.file(parent, name, source)?,
            Kind::Symlink(target) => {
                rustix::fs::symlinkat(&**target, &parent.file, name.as_bytes()).map_err(
                    DirectoryError::system("make the symlink", parent.path_of(name)),
                )?;
            }
            Kind::CharacterDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => {
                make_special(parent, name, node)?;
            }
        }
        parent.set_metadata_of(name, &node.metadata, self.writing.ownership)?;
        Ok(None)
    }

    /// Gives the node one more name, if it has one already.
    fn link(
        &mut self,
        parent: &Directory,
        name: &Name,
        id: NodeId,
    ) -> Result<bool, DirectoryError> {
        let Some(first) = self.links.get_mut(&id) else {
            return Ok(false);
        };
        let path = parent.path_of(name);
        if let Some(first) = first {
            let top = &self.top.file;
            rustix::fs::linkat(
                top,
                &**first,
                &parent.file,
                name.as_bytes(),
                AtFlags::empty(),
            )
            .map_err(DirectoryError::system("make the hard link", path))?;
            return Ok(true);
        }
        let below = path.strip_prefix(&self.top.path);
        *first = Some(below.expect("all is written below the top").into());
        Ok(false)
    }

    fn file(
        &mut self,
        parent: &Directory,
        name: &Name,
        source: &Source,
    ) -> Result<(), DirectoryError> {
        let path = || parent.path_of(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file: File = rustix::fs::openat(&parent.file, name.as_bytes(), flags, mode)
            .map_err(DirectoryError::system("make the file", path()))?
            .into();
        let mut start = 0;
        while start < source.length {
            self.writing.job.check()?;
            let left = source.length - start;
            let length = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            if self.buffer.len() < length {
                self.buffer.resize(length, 0);
            }
            let piece = &mut self.buffer[..length];
            self.reader.read_at(source, start, piece)?;
            if let Some(mark) = source.mark {
                self.writing.watch.see(mark, start, piece);
            }
            file.write_all(piece)
                .map_err(|source| DirectoryError::System {
                    action: "write",
                    path: path(),
                    source,
                })?;
            start += length as u64;
            self.writing.job.advance(length as u64);
        }
        Ok(())
    }
}

fn make_special(parent: &Directory, name: &Name, node: &Node) -> Result<(), DirectoryError> {
    let device = |DeviceNumber { major, minor }| rustix::fs::makedev(major, minor);
    let (file_type, number) = match node.kind {
        Kind::CharacterDevice(number) => (FileType::CharacterDevice, device(number)),
        Kind::BlockDevice(number) => (FileType::BlockDevice, device(number)),
        _ => (FileType::Fifo, 0),
    };
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(&parent.file, name.as_bytes(), file_type, mode, number).map_err(|errno| {
        let path = parent.path_of(name);
        match errno {
            Errno::PERM => DirectoryError::Device {
                kind: node.kind.name(),
                path,
                source: errno.into(),
            },
            errno => DirectoryError::system("make", path)(errno),
        }
    })
}

/// The nodes below `top` that have several names there.
fn linked_nodes(tree: &Tree, top: NodeId) -> BTreeMap<NodeId, Option<PathBuf>> {
    let mut seen = BTreeSet::new();
    let mut linked = BTreeMap::new();
    let mut todo = vec![top];
    while let Some(directory) = todo.pop() {
        for (_, id) in tree.entries(directory) {
            if tree.node(id).is_directory() {
                todo.push(id);
            } else if !seen.insert(id) {
                linked.insert(id, None);
            }
        }
    }
    linked
}
