//! Files of a closure, found by the paths that they will have.

use std::collections::{BTreeMap, VecDeque};

use super::fault::{BootFault, FindError};
use crate::source::Source;
use crate::store::{STORE_DIRECTORY, StorePath};
use crate::tree::{Kind, Name, NodeId, Tree};

/// The trees of a closure, by the names of their store paths.
pub(super) struct StoreFiles<'a> {
    trees: BTreeMap<&'a [u8], &'a Tree>,
}

/// What a path leads to, when all symlinks are followed.
pub(super) struct StoreFile<'a> {
    /// Its absolute path, without symlinks.
    pub path: String,
    tree: &'a Tree,
    id: NodeId,
}

/// Why text is no line: another line would be another instruction to the boot loader.
pub(super) const CONTROL_CHARACTER: &str = "it has a control character, such as the end of a line";

/// As many symlinks as Linux follows.
const MAX_SYMLINKS: usize = 40;

/// A text has at most 16 MiB: a bootspec with many specialisations has some hundred KiB.
const MAX_TEXT_BYTES: u64 = 16 << 20;

impl<'a> StoreFiles<'a> {
    pub(super) fn new(closure: &'a [(StorePath, Tree)]) -> Self {
        let trees = closure.iter();
        Self {
            trees: trees
                .map(|(path, tree)| (path.base_name().as_bytes(), tree))
                .collect(),
        }
    }

    /// What stands at `path`, which is `what`.
    pub(super) fn find(&self, what: &'static str, path: &str) -> Result<StoreFile<'a>, BootFault> {
        self.follow(path).map_err(|source| BootFault::Find {
            what,
            path: path.into(),
            source,
        })
    }

    /// What stands at `path`, if there is something of that name.
    pub(super) fn find_if_any(
        &self,
        what: &'static str,
        path: &str,
    ) -> Result<Option<StoreFile<'a>>, BootFault> {
        match self.find(what, path) {
            Err(BootFault::Find {
                source: FindError::Missing { path: missing },
                ..
            }) if missing == path => Ok(None),
            found => found.map(Some),
        }
    }

    /// The first line of the file at `path`, if there is one and it is not empty.
    pub(super) fn line(&self, what: &'static str, path: &str) -> Result<Option<String>, BootFault> {
        let Some(file) = self.find_if_any(what, path)? else {
            return Ok(None);
        };
        let text = file.text(what)?;
        let line = text.lines().next().unwrap_or_default();
        if line.contains(char::is_control) {
            return Err(BootFault::Text {
                path: file.path,
                what,
                text: line.into(),
                reason: CONTROL_CHARACTER,
            });
        }
        Ok(Some(line.to_owned()).filter(|line| !line.is_empty()))
    }

    fn follow(&self, path: &str) -> Result<StoreFile<'a>, FindError> {
        let mut names: Vec<Name> = Vec::new();
        let mut todo: VecDeque<Box<[u8]>> = VecDeque::new();
        push(path.as_bytes(), &mut names, &mut todo)?;
        let mut found = None;
        let mut symlinks = 0;
        while let Some(part) = todo.pop_front() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    if names.pop().is_none() {
                        return Err(FindError::NotInStore {
                            path: String::from_utf8_lossy(&joined(&todo)).into(),
                        });
                    }
                }
                name => names.push(Name::new(name).map_err(|_| FindError::Missing {
                    path: String::from_utf8_lossy(name).into(),
                })?),
            }
            if names.is_empty() {
                found = None;
                continue;
            }
            let (tree, id) = self.node(&names)?;
            if let Kind::Symlink(target) = &tree.node(id).kind {
                symlinks += 1;
                if symlinks > MAX_SYMLINKS {
                    return Err(FindError::Symlinks {
                        limit: MAX_SYMLINKS,
                    });
                }
                names.pop();
                push(target, &mut names, &mut todo)?;
            } else {
                found = Some((tree, id));
            }
        }
        let path = readable(&names);
        match found {
            _ if names.iter().any(|name| !is_text(name)) => Err(FindError::Utf8 { path }),
            Some((tree, id)) => Ok(StoreFile { path, tree, id }),
            None => Err(FindError::Missing { path }),
        }
    }

    /// What stands at `names`, from the store directory on.
    fn node(&self, names: &[Name]) -> Result<(&'a Tree, NodeId), FindError> {
        let (store_path, below) = names.split_first().expect("the caller has a name");
        let tree =
            self.trees
                .get(store_path.as_bytes())
                .ok_or_else(|| FindError::NotInClosure {
                    path: readable(&names[..1]),
                })?;
        let id = below
            .iter()
            .enumerate()
            .try_fold(Tree::ROOT, |id, (index, name)| {
                tree.lookup(id, name).ok_or_else(|| FindError::Missing {
                    path: readable(&names[..index + 2]),
                })
            })?;
        Ok((tree, id))
    }
}

impl<'a> StoreFile<'a> {
    /// Its content, if it is a file.
    pub(super) fn source(&self, what: &'static str) -> Result<&'a Source, BootFault> {
        match &self.tree.node(self.id).kind {
            Kind::File(source) => Ok(source),
            kind => Err(self.kind_fault(what, kind, "a file")),
        }
    }

    /// The names in it, if it is a directory.
    pub(super) fn names(
        &self,
        what: &'static str,
    ) -> Result<impl Iterator<Item = &'a Name>, BootFault> {
        let node = self.tree.node(self.id);
        if !node.is_directory() {
            return Err(self.kind_fault(what, &node.kind, "a directory"));
        }
        Ok(self.tree.entries(self.id).map(|(name, _)| name))
    }

    pub(super) fn is_directory(&self) -> bool {
        self.tree.node(self.id).is_directory()
    }

    /// Its text.
    pub(super) fn text(&self, what: &'static str) -> Result<String, BootFault> {
        let source = self.source(what)?;
        let path = || self.path.clone();
        let bytes = source.length;
        if bytes > MAX_TEXT_BYTES {
            return Err(BootFault::TooLong {
                what,
                path: path(),
                bytes,
                limit: MAX_TEXT_BYTES,
            });
        }
        let mut text = vec![0; usize::try_from(bytes).expect("it is at most 16 MiB")];
        source
            .read_at(0, &mut text)
            .map_err(|source| BootFault::Read {
                what,
                path: path(),
                source,
            })?;
        String::from_utf8(text).map_err(|_| BootFault::Utf8 { what, path: path() })
    }

    /// The parts of its path from the store directory on, the store path's name first.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.path
            .strip_prefix(STORE_DIRECTORY)
            .unwrap_or_default()
            .split('/')
            .skip(1)
    }

    fn kind_fault(&self, what: &'static str, kind: &Kind, expected: &'static str) -> BootFault {
        BootFault::Kind {
            what,
            path: self.path.clone(),
            found: kind.name(),
            expected,
        }
    }
}

/// Puts the parts of `path` before `todo`; an absolute one begins in the store.
fn push(
    path: &[u8],
    names: &mut Vec<Name>,
    todo: &mut VecDeque<Box<[u8]>>,
) -> Result<(), FindError> {
    let relative = if path.starts_with(b"/") {
        names.clear();
        path.strip_prefix(STORE_DIRECTORY.as_bytes())
            .filter(|rest| rest.starts_with(b"/"))
            .ok_or_else(|| FindError::NotInStore {
                path: String::from_utf8_lossy(path).into(),
            })?
    } else {
        path
    };
    for part in relative.rsplit(|byte| *byte == b'/') {
        todo.push_front(part.into());
    }
    Ok(())
}

fn joined(parts: &VecDeque<Box<[u8]>>) -> Vec<u8> {
    let parts: Vec<_> = parts.iter().map(|part| &**part).collect();
    [b"..".as_slice(), &parts.join(&b'/')].join(&b'/')
}

fn is_text(name: &Name) -> bool {
    std::str::from_utf8(name.as_bytes()).is_ok_and(|name| !name.contains(char::is_control))
}

/// The absolute path of `names`, which are below the store directory.
fn readable(names: &[Name]) -> String {
    let mut path = STORE_DIRECTORY.to_owned();
    for name in names {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(name.as_bytes()));
    }
    path
}
