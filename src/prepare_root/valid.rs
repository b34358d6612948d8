//! Making the paths of a closure valid in the target's store.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::PrepareRootError;
use super::layout::{DATABASE_DIRECTORY, enter, names};
use crate::directory::{Directory, DirectoryError, Ownership, Writing};
use crate::job::Job;
use crate::progress::Progress;
use crate::store::{
    Closure, ClosurePath, Content, DATABASE_NAME, Database, NarDigest, NarWatch,
    SCHEMA_VERSION_NAME, STORE_DIRECTORY, StorePath, ValidPath,
};
use crate::tree::{Kind, Name, NodeId, Timestamp, Tree};

/// As many paths are registered at once, at most; whoever is killed loses no more.
const PATHS_AT_ONCE: usize = 256;
/// As many bytes of NARs, and those of one path more.
const BYTES_AT_ONCE: u64 = 256 << 20;

/// A closure to be valid.
pub(super) struct Paths<'a> {
    pub(super) closure: &'a Closure,
    /// The tree of the root, with every path of the closure.
    pub(super) tree: &'a Tree,
    pub(super) watch: &'a NarWatch,
    pub(super) ownership: Ownership,
    pub(super) job: &'a Job,
    /// When they are registered.
    pub(super) time: Timestamp,
}

/// Paths that are valid.
type Valid = BTreeMap<StorePath, NarDigest>;

impl Paths<'_> {
    /// Writes the paths that are not valid in the store of the root `target`, and registers
    /// them. Gives all that are valid then; the database is closed again.
    pub(super) fn make_valid(
        &self,
        target: &Directory,
        progress: &Progress,
    ) -> Result<Valid, PrepareRootError> {
        let store = enter(target, &names(&STORE_DIRECTORY[1..]))?;
        let directory = enter(target, &names(DATABASE_DIRECTORY))?;
        for name in [DATABASE_NAME, SCHEMA_VERSION_NAME]
            .into_iter()
            .flat_map(names)
        {
            directory.check_file(&name)?;
        }
        let mut database = Database::open_or_create(directory.path())?;
        let mut valid = database.valid_paths()?;
        let missing: Vec<_> = references_first(self.closure)
            .into_iter()
            .filter(|path| !valid.contains_key(&path.path))
            .collect();
        check_store(&store, &missing)?;
        let bytes = missing
            .iter()
            .map(|path| content_bytes(self.tree, self.place(path).1));
        progress.phase_of("copying", bytes.sum());
        self.write_and_register(&store, &missing, &mut database, &mut valid)?;
        Ok(valid)
    }

    /// Writes `missing` on as many threads as the rayon pool has, and registers what is
    /// complete on this one. Of several errors, the one of the first path is reported; what
    /// was complete is registered all the same.
    fn write_and_register(
        &self,
        store: &Directory,
        missing: &[&ClosurePath],
        database: &mut Database,
        valid: &mut Valid,
    ) -> Result<(), PrepareRootError> {
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let (done, written) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..rayon::current_num_threads().min(missing.len()) {
                let done = done.clone();
                let (next, stop) = (&next, &stop);
                let write = move || {
                    while !stop.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(path) = missing.get(index) else {
                            break;
                        };
                        let written = self.write(store, path);
                        stop.fetch_or(written.is_err(), Ordering::Relaxed);
                        // If nobody listens, the work has failed.
                        if done.send((index, written)).is_err() {
                            break;
                        }
                    }
                };
                if let Err(error) = thread::Builder::new().spawn_scoped(scope, write) {
                    stop.store(true, Ordering::Relaxed);
                    return Err(PrepareRootError::Thread(error));
                }
            }
            drop(done);
            let registered = self.register(&written, database, valid);
            stop.store(true, Ordering::Relaxed);
            registered
        })
    }

    /// Writes a path anew.
    fn write(&self, store: &Directory, path: &ClosurePath) -> Result<ValidPath, PrepareRootError> {
        self.job.check().map_err(DirectoryError::from)?;
        let (name, id) = self.place(path);
        store.remove(&name)?;
        let writing = Writing {
            ownership: self.ownership,
            job: self.job,
            watch: self.watch,
        };
        store.write_new(&name, self.tree, id, &writing)?;
        Ok(self.watch.finish_path(path)?)
    }

    fn place(&self, path: &ClosurePath) -> (Name, NodeId) {
        let mut names = names(&STORE_DIRECTORY[1..]);
        names.push(Name::new(path.path.base_name()).expect("store paths end in names"));
        let id = names.iter().fold(Tree::ROOT, |id, name| {
            let inner = self.tree.lookup(id, name);
            inner.expect("the tree holds every path of the closure")
        });
        (names.swap_remove(names.len() - 1), id)
    }

    /// Registers what was `written`, a bounded amount at once.
    fn register(
        &self,
        written: &Receiver<(usize, Result<ValidPath, PrepareRootError>)>,
        database: &mut Database,
        valid: &mut Valid,
    ) -> Result<(), PrepareRootError> {
        let mut failure: Option<(usize, PrepareRootError)> = None;
        let mut complete = BTreeMap::new();
        let (mut paths, mut bytes) = (0, 0);
        for (index, written) in written {
            match written {
                Ok(path) => {
                    paths += 1;
                    bytes += path.nar_size;
                    complete.insert(path.path.clone(), path);
                }
                Err(error) => {
                    if failure.as_ref().is_none_or(|(first, _)| index < *first) {
                        failure = Some((index, error));
                    }
                }
            }
            if paths >= PATHS_AT_ONCE || bytes >= BYTES_AT_ONCE {
                self.register_ready(&mut complete, database, valid)?;
                (paths, bytes) = (0, 0);
            }
        }
        self.register_ready(&mut complete, database, valid)?;
        failure.map_or(Ok(()), |(_, error)| Err(error))
    }

    fn register_ready(
        &self,
        complete: &mut BTreeMap<StorePath, ValidPath>,
        database: &mut Database,
        valid: &mut Valid,
    ) -> Result<(), PrepareRootError> {
        let ready = take_ready(complete, valid);
        if ready.is_empty() {
            return Ok(());
        }
        database.register(&ready, self.time.seconds)?;
        valid.extend(ready.into_iter().map(|path| {
            let nar = NarDigest {
                hash: path.nar_hash,
                size: path.nar_size,
            };
            (path.path, nar)
        }));
        Ok(())
    }
}

/// Bytes of all files below `top`.
fn content_bytes(tree: &Tree, top: NodeId) -> u64 {
    let mut bytes = 0;
    let mut todo = vec![top];
    while let Some(id) = todo.pop() {
        if let Kind::File(source) = &tree.node(id).kind {
            bytes += source.length;
        }
        todo.extend(tree.entries(id).map(|(_, id)| id));
    }
    bytes
}

/// Takes the paths that refer to nothing but each other and what is valid. Paths that refer
/// to each other in a circle are taken together.
fn take_ready(complete: &mut BTreeMap<StorePath, ValidPath>, valid: &Valid) -> Vec<ValidPath> {
    let mut ready = mem::take(complete);
    loop {
        let is_there = |path| ready.contains_key(path) || valid.contains_key(path);
        let early: Vec<_> = ready
            .values()
            .filter(|path| !path.references.iter().all(is_there))
            .map(|path| path.path.clone())
            .collect();
        if early.is_empty() {
            return ready.into_values().collect();
        }
        complete.extend(early.iter().filter_map(|path| ready.remove_entry(path)));
    }
}

/// The paths of a closure, each after what it refers to, but for circles.
fn references_first(closure: &Closure) -> Vec<&ClosurePath> {
    let by_path: BTreeMap<_, _> = closure.paths().map(|path| (&path.path, path)).collect();
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    for top in closure.paths() {
        let mut open = Vec::new();
        if seen.insert(&top.path) {
            open.push((top, top.references.iter()));
        }
        while let Some((path, references)) = open.last_mut() {
            match references.next() {
                Some(reference) if seen.insert(reference) => {
                    let reference = by_path[reference];
                    open.push((reference, reference.references.iter()));
                }
                Some(_) => {}
                None => {
                    order.push(*path);
                    open.pop();
                }
            }
        }
    }
    order
}

/// Checks that nothing of the host's store would be removed before it is copied.
fn check_store(store: &Directory, missing: &[&ClosurePath]) -> Result<(), PrepareRootError> {
    let live = missing
        .iter()
        .find(|path| matches!(path.content.0, Content::Live));
    let Some(live) = live else { return Ok(()) };
    if store.is(&Directory::open(Path::new(STORE_DIRECTORY))?)? {
        return Err(PrepareRootError::OwnStore {
            path: live.path.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Input, Member, NarHash};

    const NAR: NarDigest = NarDigest {
        hash: NarHash([0; 32]),
        size: 1,
    };

    fn store_path(letter: char) -> StorePath {
        let hash = letter.to_string().repeat(StorePath::HASH_LENGTH);
        StorePath::from_base_name(&format!("{hash}-{letter}")).unwrap()
    }

    /// A closure of paths, each with the letters of what it refers to.
    fn closure(paths: &[(char, &str)]) -> Closure {
        let member = |(letter, references): &(char, &str)| Member {
            path: store_path(*letter),
            nar: Some(NAR),
            references: references.chars().map(store_path).collect(),
            ca: None,
            offset: None,
            content: Content::Live,
        };
        let input = Input {
            name: "the test".into(),
            members: paths.iter().map(member).collect(),
        };
        Closure::new([input]).unwrap()
    }

    fn letters(paths: impl IntoIterator<Item = StorePath>) -> String {
        let letter = |path: StorePath| path.base_name().chars().next();
        paths.into_iter().filter_map(letter).collect()
    }

    #[test]
    fn references_come_first() {
        let closure = closure(&[('a', "abd"), ('b', "c"), ('c', ""), ('d', "c")]);
        let order = references_first(&closure).into_iter();
        assert_eq!(letters(order.map(|path| path.path.clone())), "cbda");
    }

    #[test]
    fn circles_end() {
        let closure = closure(&[('a', "b"), ('b', "c"), ('c', "a"), ('d', "d")]);
        let order = references_first(&closure).into_iter();
        assert_eq!(letters(order.map(|path| path.path.clone())), "cbad");
    }

    /// What is taken when `complete` is, and what is left.
    fn taken(paths: &[(char, &str)], complete: &str, valid: &str) -> (String, String) {
        let closure = closure(paths);
        let mut complete: BTreeMap<_, _> = closure
            .paths()
            .filter(|path| complete.contains(&letters([path.path.clone()])))
            .map(|path| (path.path.clone(), ValidPath::new(path, NAR)))
            .collect();
        let valid = valid.chars().map(|letter| (store_path(letter), NAR));
        let ready = take_ready(&mut complete, &valid.collect());
        let ready = letters(ready.into_iter().map(|path| path.path));
        (ready, letters(complete.into_keys()))
    }

    #[test]
    fn a_path_waits_for_what_it_refers_to() {
        let paths = [('a', "b"), ('b', "c"), ('c', ""), ('d', "d")];
        let taken = |complete, valid| taken(&paths, complete, valid);
        assert_eq!(taken("abd", ""), ("d".into(), "ab".into()));
        assert_eq!(taken("abd", "c"), ("abd".into(), String::new()));
        assert_eq!(taken("ac", ""), ("c".into(), "a".into()));
    }

    #[test]
    fn a_circle_is_taken_together() {
        let paths = [('a', "b"), ('b', "c"), ('c', "a")];
        let taken = |complete, valid| taken(&paths, complete, valid);
        assert_eq!(taken("ab", ""), (String::new(), "ab".into()));
        assert_eq!(taken("abc", ""), ("abc".into(), String::new()));
    }
}
