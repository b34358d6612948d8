//! Hashes of store paths, found out while their contents are copied.
//!
//! Every byte is read once: whoever copies it shows it to a [`NarWatch`], which knows what
//! stands between the contents in a NAR, and so has the NAR's hash at the end. What nobody
//! copies, since an equal file is copied, the watch reads by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use rayon::prelude::*;

use super::nar::{self, HashingWriter, Writer};
use super::{
    Closure, ClosurePath, Content, MismatchError, NarDigest, NarHash, StorePath, ValidPath,
};
use crate::source::{Mark, ReadError, Reader, Source, Watch};
use crate::tree::{Kind, Name, NodeId, Tree};

/// A watch over the store paths whose hashes nobody knows, or that must be checked.
#[derive(Debug)]
pub struct NarWatch {
    streams: Vec<Stream>,
}

/// A store path of which nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// It is not what an input says of it.
    #[error(transparent)]
    Mismatch(#[from] MismatchError),
    /// It could not be read where nobody copies it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Somebody asked to stop that.
    #[error("interrupted")]
    Interrupted,
}

/// One store path.
#[derive(Debug)]
struct Stream {
    path: StorePath,
    /// Bytes of its NAR.
    size: u64,
    hashing: Mutex<Hashing>,
}

/// A NAR that is being hashed.
#[derive(Debug)]
struct Hashing {
    writer: Writer<HashingWriter>,
    /// What is yet to come, beside contents.
    parts: vec::IntoIter<Part>,
    /// The file whose content comes.
    open: Option<OpenFile>,
    /// Files that were begun.
    files: u32,
    /// Files that nobody shows, by their numbers.
    unshown: BTreeMap<u32, Source>,
    /// Stops that they are read.
    stop: Arc<AtomicBool>,
    /// Why not all that came was hashed.
    failure: Option<WatchError>,
}

/// What a NAR consists of beside contents.
#[derive(Clone, Debug)]
enum Part {
    BeginDirectory,
    Entry(Name),
    File { executable: bool, length: u64 },
    Symlink(Box<[u8]>),
    EndDirectory,
}

#[derive(Debug)]
struct OpenFile {
    /// Its number, in the order of the NAR.
    number: u32,
    length: u64,
    /// Bytes that came.
    at: u64,
}

/// Bytes that are read at once.
const CHUNK: u64 = 1 << 18;

/// Zeros for what nobody shows, since it is a hole.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

impl NarWatch {
    /// Watches, of `trees`, which are those of `closure` in its order, the ones whose NAR is
    /// not known or lies in a stream; all of them to `verify` the host's store too. Their
    /// files are marked.
    ///
    /// # Panics
    ///
    /// If they are the trees of another closure.
    #[must_use]
    pub fn new(closure: &Closure, trees: &mut [(StorePath, Tree)], verify: bool) -> Self {
        let mut streams = Vec::new();
        for (path, (of, tree)) in closure.paths().zip(trees) {
            assert_eq!(path.path, *of, "the trees are in the closure's order");
            let in_stream = matches!(path.content.0, Content::Stream(_));
            if verify || in_stream || path.nar.is_none() {
                let stream = u32::try_from(streams.len()).expect("store paths fit memory");
                streams.push(Stream::new(of.clone(), stream, tree));
            }
        }
        Self { streams }
    }

    /// Reads those of `sources` that are marked by itself, when their turn comes: nobody will
    /// show them. `stop` may stop that.
    ///
    /// # Panics
    ///
    /// If one of them was marked by another watch.
    pub fn read_by_itself(
        &mut self,
        sources: impl IntoIterator<Item = Source>,
        stop: &Arc<AtomicBool>,
    ) {
        for source in sources {
            let Some(mark) = source.mark else { continue };
            let hashing = &mut self.streams[mark.stream() as usize].hashing;
            let hashing = hashing.get_mut().unwrap_or_else(PoisonError::into_inner);
            hashing.unshown.insert(mark.part(), source);
            hashing.stop = stop.clone();
        }
    }

    /// What Nix's database will know of each path of `closure`. Of a path whose hash is not
    /// known yet the size is right and the hash is zero.
    ///
    /// # Panics
    ///
    /// If `closure` is another than the one that is watched.
    #[must_use]
    pub fn draft(&self, closure: &Closure) -> Vec<ValidPath> {
        let valid = |(path, stream): (_, Option<&Stream>)| {
            let unknown = || NarDigest {
                hash: NarHash([0; 32]),
                size: stream.expect("what nobody knows is watched").size,
            };
            ValidPath::new(
                path,
                path.nar.as_ref().map_or_else(unknown, |(nar, _)| *nar),
            )
        };
        self.with_streams(closure).map(valid).collect()
    }

    /// Whether [`NarWatch::draft`] is what [`NarWatch::finish`] will give.
    #[must_use]
    pub fn is_known_before(closure: &Closure) -> bool {
        closure.paths().all(|path| path.nar.is_some())
    }

    /// What Nix's database will know, when all contents have been seen. Of several errors,
    /// the first in path order is reported.
    ///
    /// # Panics
    ///
    /// If `closure` is another than the one that is watched.
    pub fn finish(&self, closure: &Closure) -> Result<Vec<ValidPath>, WatchError> {
        // What nobody showed and stands last in its path is read now, on all threads.
        let digests: Vec<_> = self.streams.par_iter().map(Stream::finish).collect();
        let mut digests = digests.into_iter();
        self.with_streams(closure)
            .map(|(path, stream)| {
                let found = stream.map(|_| digests.next().expect("each stream has a path"));
                Ok(path.settle(found.transpose()?)?)
            })
            .collect()
    }

    /// What Nix's database will know of `path`, one of the closure, when its contents have
    /// been seen; others may be on their way.
    pub fn finish_path(&self, path: &ClosurePath) -> Result<ValidPath, WatchError> {
        let place = self
            .streams
            .binary_search_by(|stream| stream.path.cmp(&path.path));
        let stream = place.ok().map(|index| &self.streams[index]);
        Ok(path.settle(stream.map(Stream::finish).transpose()?)?)
    }

    /// The paths of `closure`, each with its stream, if it is watched.
    fn with_streams<'a>(
        &'a self,
        closure: &'a Closure,
    ) -> impl Iterator<Item = (&'a ClosurePath, Option<&'a Stream>)> {
        let mut streams = self.streams.iter().peekable();
        closure.paths().map(move |path| {
            let stream = streams.next_if(|stream| stream.path == path.path);
            (path, stream)
        })
    }
}

impl Watch for NarWatch {
    fn see(&self, mark: Mark, start: u64, bytes: &[u8]) {
        let stream = &self.streams[mark.stream() as usize];
        let mut hashing = stream
            .hashing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        hashing.see(mark.part(), start, bytes);
    }
}

impl Stream {
    fn new(path: StorePath, number: u32, tree: &mut Tree) -> Self {
        let (parts, files) = parts(tree);
        for (part, id) in (0..).zip(files) {
            let Kind::File(source) = &mut tree.node_mut(id).kind else {
                unreachable!("only files were collected")
            };
            source.mark = Some(Mark::new(number, part));
        }
        Self {
            path,
            size: nar::size(tree),
            hashing: Mutex::new(Hashing::new(parts)),
        }
    }

    fn finish(&self) -> Result<NarDigest, WatchError> {
        let mut hashing = self.hashing.lock().unwrap_or_else(PoisonError::into_inner);
        hashing.finish()
    }
}

/// The parts of the NAR of `tree`, and its files in their order.
fn parts(tree: &Tree) -> (Vec<Part>, Vec<NodeId>) {
    let mut files = Vec::new();
    let parts = nar::walk(tree)
        .map(|event| match event {
            nar::Event::BeginDirectory => Part::BeginDirectory,
            nar::Event::Entry(name) => Part::Entry(name.clone()),
            nar::Event::File {
                id,
                executable,
                source,
            } => {
                files.push(id);
                Part::File {
                    executable,
                    length: source.length,
                }
            }
            nar::Event::Symlink(target) => Part::Symlink(target.into()),
            nar::Event::EndDirectory => Part::EndDirectory,
        })
        .collect();
    (parts, files)
}

/// Why nothing here fails.
const TAKES_ALL: &str = "names of a tree rise, and what hashes takes all";

impl Hashing {
    fn new(parts: Vec<Part>) -> Self {
        Self {
            writer: Writer::new(HashingWriter::default()).expect(TAKES_ALL),
            parts: parts.into_iter(),
            open: None,
            files: 0,
            unshown: BTreeMap::new(),
            stop: Arc::default(),
            failure: None,
        }
    }

    /// Sees a part of a file. After a failure no hash is right, and nothing more is seen.
    fn see(&mut self, number: u32, start: u64, bytes: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.add(number, start, bytes).err();
        }
    }

    fn add(&mut self, number: u32, start: u64, bytes: &[u8]) -> Result<(), WatchError> {
        while self.open.as_ref().is_none_or(|file| file.number < number) {
            assert!(self.next()?, "a stream has as many parts as were marked");
        }
        self.fill_to(start);
        self.writer.content(bytes).expect(TAKES_ALL);
        let file = self.open.as_mut().expect("the file was opened above");
        assert_eq!(
            (file.number, file.at),
            (number, start),
            "parts come in their order"
        );
        file.at += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<NarDigest, WatchError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        while self.next()? {}
        let done = Writer::new(HashingWriter::default()).expect(TAKES_ALL);
        let (hash, size) = std::mem::replace(&mut self.writer, done).finish().finish();
        Ok(NarDigest { hash, size })
    }

    /// Ends the file that is open, and goes on to the end of the next part or the beginning
    /// of its content. False if there is none.
    fn next(&mut self) -> Result<bool, WatchError> {
        if let Some(file) = &self.open {
            self.fill_to(file.length);
            self.writer.end_file().expect(TAKES_ALL);
            self.open = None;
        }
        let Some(part) = self.parts.next() else {
            return Ok(false);
        };
        match part {
            Part::BeginDirectory => self.writer.begin_directory(),
            Part::Entry(name) => self.writer.entry(name.as_bytes()),
            Part::Symlink(target) => self.writer.symlink(&target),
            Part::EndDirectory => self.writer.end_directory(),
            Part::File { executable, length } => {
                let begun = self.writer.begin_file(executable, length);
                self.open(length)?;
                begun
            }
        }
        .expect(TAKES_ALL);
        Ok(true)
    }

    /// Opens the next file, and reads it if nobody will show it.
    fn open(&mut self, length: u64) -> Result<(), WatchError> {
        let number = self.files;
        self.files += 1;
        let mut at = 0;
        if let Some(source) = self.unshown.remove(&number) {
            let mut reader = Reader::default();
            let mut buffer = Vec::new();
            while at < length {
                if self.stop.load(Ordering::Relaxed) {
                    return Err(WatchError::Interrupted);
                }
                let bytes = CHUNK.min(length - at);
                buffer.resize(usize::try_from(bytes).expect("a chunk is in memory"), 0);
                reader.read_at(&source, at, &mut buffer)?;
                self.writer.content(&buffer).expect(TAKES_ALL);
                at += bytes;
            }
        }
        self.open = Some(OpenFile { number, length, at });
        Ok(())
    }

    /// Zeros, up to the byte `end` of the open file.
    fn fill_to(&mut self, end: u64) {
        let Some(file) = &mut self.open else { return };
        while file.at < end {
            let zeros = (end - file.at).min(ZEROS.len() as u64);
            let zeros = usize::try_from(zeros).expect("it is at most 65,536");
            self.writer.content(&ZEROS[..zeros]).expect(TAKES_ALL);
            file.at += zeros as u64;
        }
    }
}

#[cfg(test)]
mod tests;
