//! A store that this process serves to the kernel, by FUSE: it fails where a test wants it to, and
//! changes when the builder has scanned it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyEntry, ReplyOpen, Request,
};
use nix2image::store::nar::nar_hash;
use tempfile::TempDir;

use crate::support::command::starting;
use crate::support::command::wait_for_starts;
use crate::support::direct::FakeStore;
use crate::support::nix::PathInfo;
use crate::support::sample::noise;
use crate::support::temporary;

/// What stands at a path.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Directory,
    File(Vec<u8>),
    Symlink(&'static str),
    Fifo,
    /// `/dev/zero`, which has as many bytes as anybody wants.
    Device,
}

/// What is done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    LookUp,
    Open,
    /// A read that goes beyond so many bytes.
    ReadBeyond(u64),
    List,
    ReadLink,
}

/// When a store changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The first file is opened: the scan is over.
    Opened,
    /// This directory has been listed: the scan is under way.
    Listed(PathBuf),
    /// Some of this file has been read.
    Read(PathBuf),
}

/// A store that is mounted; no more when this value goes.
pub(super) struct ServedStore {
    session: Option<BackgroundSession>,
    state: Arc<Mutex<State>>,
    directory: TempDir,
}

/// Paths are those below the mount point.
struct State {
    inodes: BTreeMap<u64, (PathBuf, Node)>,
    numbers: BTreeMap<PathBuf, u64>,
    failing: Vec<(PathBuf, Operation)>,
    changes: Vec<(Moment, PathBuf, Option<Node>)>,
    /// What was looked up.
    seen: BTreeSet<PathBuf>,
}

/// What is in a directory.
struct Listing {
    path: PathBuf,
    /// Numbers, types and names.
    entries: Vec<(u64, FileType, PathBuf)>,
}

/// Bytes of the largest file of a [`ServedStore`].
pub(super) const LARGE: usize = 1 << 20;

impl ServedStore {
    /// One store path, and a directory beside it that is none, `outside`, with the names of
    /// the directory `sub` and content of the same length.
    #[track_caller]
    pub(super) fn new() -> Self {
        let mut state = State {
            inodes: [(1, (PathBuf::new(), Node::Directory))].into(),
            numbers: [(PathBuf::new(), 1)].into(),
            failing: Vec::new(),
            changes: Vec::new(),
            seen: BTreeSet::new(),
        };
        let file = |text: &str| Node::File(text.into());
        for (path, node) in [
            ("", Node::Directory),
            ("a-first", file("first")),
            ("large", Node::File(noise(LARGE, 1))),
            ("large-too", Node::File(noise(LARGE, 1))),
            ("link", Node::Symlink("a-first")),
            ("link-outside", Node::Symlink("../outside/file")),
            ("sub", Node::Directory),
            ("sub/file", file("content")),
            ("sub/other", file("another")),
        ] {
            state.put(&in_store_path(path), Some(node));
        }
        for (path, node) in [
            ("outside", Node::Directory),
            ("outside/file", file("secrets")),
            ("outside/other", file("secret2")),
        ] {
            state.put(path.as_ref(), Some(node));
        }
        let directory = temporary::directory();
        let state = Arc::new(Mutex::new(state));
        let mut config = Config::default();
        // Devices too, as they are on a host.
        config.mount_options = vec![MountOption::RO, MountOption::Dev];
        let server = Server(state.clone());
        let session = starting(|| fuser::spawn_mount(server, directory.path(), &config));
        Self {
            session: Some(session.expect("this kernel has FUSE, and this process is root's")),
            state,
            directory,
        }
    }

    /// The store itself, where we see it.
    pub(super) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// What Nix would know of the store path, as it is now.
    pub(super) fn info(&self) -> PathInfo {
        let (hash, size) = nar_hash(&self.root().join(in_store_path(""))).unwrap();
        PathInfo {
            nar_hash: hash.to_hex(),
            nar_size: size,
            ..FakeStore::info()
        }
    }

    /// From now on this operation fails on `path`, which stands in the store path.
    pub(super) fn fail(&self, path: &str, operation: Operation) {
        let mut state = self.state.lock().unwrap();
        state.failing.push((in_store_path(path), operation));
    }

    /// When the `moment` comes, `path` in the store path becomes `node`, or is gone.
    pub(super) fn change(&self, moment: Moment, path: &str, node: Option<Node>) {
        let mut state = self.state.lock().unwrap();
        state.changes.push((moment, in_store_path(path), node));
    }

    /// Whether somebody looked for anything in the directory `outside`.
    pub(super) fn was_outside_seen(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.seen.iter().any(|path| path.starts_with("outside"))
    }

    /// Whether all changes have come.
    pub(super) fn has_changed(&self) -> bool {
        self.state.lock().unwrap().changes.is_empty()
    }
}

impl Drop for ServedStore {
    fn drop(&mut self) {
        wait_for_starts();
        // Not joined: namespaces of mounts that others made meanwhile may have it too.
        drop(self.session.take());
    }
}

/// The moment at which `directory` of the store path has been listed.
pub(super) fn listed(directory: &str) -> Moment {
    Moment::Listed(in_store_path(directory))
}

/// The moment at which some of `file` in the store path has been read.
pub(super) fn read(file: &str) -> Moment {
    Moment::Read(in_store_path(file))
}

/// A path in the store path, as the builder names it.
pub(super) fn named(path: &str) -> String {
    format!("/nix/store/{}", in_store_path(path).display())
}

fn in_store_path(path: &str) -> PathBuf {
    let store_path = FakeStore::store_path();
    let top = Path::new(&store_path).file_name().unwrap();
    if path.is_empty() {
        top.into()
    } else {
        Path::new(top).join(path)
    }
}

impl State {
    /// A file that stays a file stays the same one; all else is a new one.
    fn put(&mut self, path: &Path, node: Option<Node>) {
        let before = self.numbers.remove(path);
        let Some(node) = node else { return };
        let stays = |number: &u64| {
            let (_, before) = &self.inodes[number];
            matches!((before, &node), (Node::File(_), Node::File(_)))
        };
        let next = self.inodes.len() as u64 + 1;
        let number = before.filter(stays).unwrap_or(next);
        self.numbers.insert(path.into(), number);
        self.inodes.insert(number, (path.into(), node));
    }

    fn pass(&mut self, moment: &Moment) {
        for (when, path, node) in std::mem::take(&mut self.changes) {
            if when == *moment {
                self.put(&path, node);
            } else {
                self.changes.push((when, path, node));
            }
        }
    }

    fn check(&self, path: &Path, operation: Operation) -> Result<(), Errno> {
        let fails = |(failing, when): &(PathBuf, Operation)| {
            let matches = match (when, operation) {
                (Operation::ReadBeyond(most), Operation::ReadBeyond(end)) => end > *most,
                (when, operation) => *when == operation,
            };
            failing == path && matches
        };
        if self.failing.iter().any(fails) {
            return Err(Errno::EIO);
        }
        Ok(())
    }

    fn at(&self, inode: INodeNo) -> Result<&(PathBuf, Node), Errno> {
        self.inodes.get(&inode.0).ok_or(Errno::ENOENT)
    }

    fn look_up(&mut self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        let path = self.at(parent)?.0.join(name);
        self.seen.insert(path.clone());
        self.check(&path, Operation::LookUp)?;
        let number = *self.numbers.get(&path).ok_or(Errno::ENOENT)?;
        Ok(attributes(number, &self.inodes[&number].1))
    }

    fn open(&mut self, inode: INodeNo) -> Result<(), Errno> {
        self.pass(&Moment::Opened);
        self.check(&self.at(inode)?.0, Operation::Open)
    }

    fn read(&mut self, inode: INodeNo, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        let (path, node) = self.at(inode)?.clone();
        let end = offset + u64::from(size);
        self.check(&path, Operation::ReadBeyond(end))?;
        let Node::File(content) = node else {
            return Err(Errno::EINVAL);
        };
        let place = |byte: u64| usize::try_from(byte).unwrap().min(content.len());
        let bytes = content[place(offset)..place(end)].to_vec();
        self.pass(&Moment::Read(path));
        Ok(bytes)
    }

    fn read_link(&self, inode: INodeNo) -> Result<&'static str, Errno> {
        let (path, node) = self.at(inode)?;
        self.check(path, Operation::ReadLink)?;
        match node {
            Node::Symlink(target) => Ok(target),
            _ => Err(Errno::EINVAL),
        }
    }

    fn list(&self, inode: INodeNo) -> Result<Listing, Errno> {
        let (directory, _) = self.at(inode)?;
        self.check(directory, Operation::List)?;
        let entries = self.numbers.iter().filter_map(|(path, number)| {
            let name = path.strip_prefix(directory).ok()?;
            let is_entry = name.components().count() == 1;
            let attributes = attributes(*number, &self.inodes[number].1);
            is_entry.then(|| (*number, attributes.kind, name.to_path_buf()))
        });
        Ok(Listing {
            path: directory.clone(),
            entries: entries.collect(),
        })
    }
}

fn attributes(number: u64, node: &Node) -> FileAttr {
    let (kind, size) = match node {
        Node::Directory => (FileType::Directory, 0),
        Node::File(content) => (FileType::RegularFile, content.len() as u64),
        Node::Symlink(target) => (FileType::Symlink, target.len() as u64),
        Node::Fifo => (FileType::NamedPipe, 0),
        Node::Device => (FileType::CharDevice, 0),
    };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0o555,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: u32::try_from(rustix::fs::makedev(1, 5)).unwrap(),
        blksize: 4096,
        flags: 0,
    }
}

/// Serves a [`State`]. The kernel keeps nothing of what it is told.
struct Server(Arc<Mutex<State>>);

/// For how long the kernel may believe what it is told.
const KEPT: Duration = Duration::ZERO;

impl Filesystem for Server {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.0.lock().unwrap().look_up(parent, name) {
            Ok(attributes) => reply.entry(&KEPT, &attributes, Generation(0)),
            Err(errno) => reply.error(errno),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.lock().unwrap().at(inode) {
            Ok((_, node)) => reply.attr(&KEPT, &attributes(inode.0, node)),
            Err(errno) => reply.error(errno),
        }
    }

    fn readlink(&self, _: &Request, inode: INodeNo, reply: ReplyData) {
        match self.0.lock().unwrap().read_link(inode) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.lock().unwrap().open(inode) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.lock().unwrap().read(inode, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut state = self.0.lock().unwrap();
        let Listing { path, entries } = match state.list(inode) {
            Ok(listing) => listing,
            Err(errno) => return reply.error(errno),
        };
        let from = usize::try_from(offset).unwrap();
        let is_end = from >= entries.len();
        for (index, (number, kind, name)) in entries.into_iter().enumerate().skip(from) {
            if reply.add(INodeNo(number), index as u64 + 1, kind, name) {
                break;
            }
        }
        // Before the kernel asks for anything else.
        if is_end {
            state.pass(&Moment::Listed(path));
        }
        reply.ok();
    }
}
