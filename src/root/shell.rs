//! Whether a program of the closure can be `/bin/sh`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::store::{STORE_DIRECTORY, StorePath};
use crate::tree::{Kind, Name, NodeId, Tree};

/// Symlinks that are followed; the kernel follows as many.
const MAX_SYMLINKS: usize = 40;

/// A program that nothing can run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShellError {
    /// It is no file of a store path.
    #[error("the shell {} is not below {STORE_DIRECTORY}; name an executable in a path of the closure", shell.display())]
    NotInStore {
        /// The shell.
        shell: PathBuf,
    },
    /// It leads out of the closure.
    #[error("the shell {} (root.shell, --shell) leads to {}, which is not in the closure; give a graph or another closure that holds it", shell.display(), at.display())]
    NotInClosure {
        /// The shell.
        shell: PathBuf,
        /// What is missing.
        at: PathBuf,
    },
    /// Its store path has no such file.
    #[error("the shell {} leads to {}, and there is nothing; name an executable in a path of the closure", shell.display(), at.display())]
    Missing {
        /// The shell.
        shell: PathBuf,
        /// What is missing.
        at: PathBuf,
    },
    /// It is something else.
    #[error("the shell {} leads to {}, which is {kind} and no file; name an executable in a path of the closure", shell.display(), at.display())]
    NotAFile {
        /// The shell.
        shell: PathBuf,
        /// What is there.
        at: PathBuf,
        /// Its type, as `"a directory"`.
        kind: &'static str,
    },
    /// It has no x bit.
    #[error("the shell {} leads to {}, which is not executable; name an executable in a path of the closure", shell.display(), at.display())]
    NotExecutable {
        /// The shell.
        shell: PathBuf,
        /// The file.
        at: PathBuf,
    },
    /// Its symlinks lead to each other, or are too many.
    #[error("the shell {} leads through more than {MAX_SYMLINKS} symlinks, which the kernel does not follow; name the executable itself", shell.display())]
    TooManySymlinks {
        /// The shell.
        shell: PathBuf,
    },
}

/// Checks that `shell` leads, as the kernel would follow it, to an executable file in one
/// of the trees of the store.
pub(super) fn check(shell: &Path, store: &[(StorePath, Tree)]) -> Result<(), ShellError> {
    if !shell.starts_with(STORE_DIRECTORY) {
        return Err(ShellError::NotInStore {
            shell: shell.into(),
        });
    }
    Walk::new(shell, store).follow_all()
}

/// A path that is being followed.
struct Walk<'a> {
    shell: &'a Path,
    store: BTreeMap<&'a [u8], &'a Tree>,
    /// Names of directories from the root to where it stands, each resolved.
    names: Vec<Vec<u8>>,
    /// What is still to be followed, the next name last.
    todo: Vec<Vec<u8>>,
    symlinks: usize,
}

/// What stands at a path.
enum Found<'a> {
    /// A directory above the store paths.
    AboveStorePaths,
    /// A node of a store path.
    Node(&'a Tree, NodeId),
}

impl<'a> Walk<'a> {
    fn new(shell: &'a Path, store: &'a [(StorePath, Tree)]) -> Self {
        let mut walk = Self {
            shell,
            store: store
                .iter()
                .map(|(path, tree)| (path.base_name().as_bytes(), tree))
                .collect(),
            names: Vec::new(),
            todo: Vec::new(),
            symlinks: 0,
        };
        walk.follow(shell.as_os_str().as_bytes());
        walk
    }

    /// Goes on with `path`, and then with what was still to be followed.
    fn follow(&mut self, path: &[u8]) {
        if path.starts_with(b"/") {
            self.names.clear();
        }
        let names = path.split(|byte| *byte == b'/').map(<[u8]>::to_vec);
        self.todo.extend(names.rev());
    }

    fn follow_all(mut self) -> Result<(), ShellError> {
        while let Some(name) = self.todo.pop() {
            match &*name {
                b"" | b"." => continue,
                b".." => {
                    self.names.pop();
                    continue;
                }
                _ => self.names.push(name),
            }
            let Found::Node(tree, id) = self.look()? else {
                continue;
            };
            match &tree.node(id).kind {
                Kind::Directory(_) => {}
                Kind::Symlink(target) => {
                    self.symlinks += 1;
                    if self.symlinks > MAX_SYMLINKS {
                        return Err(ShellError::TooManySymlinks {
                            shell: self.shell.into(),
                        });
                    }
                    self.names.pop();
                    self.follow(target);
                }
                _ if !self.todo.is_empty() => return Err(self.missing()),
                Kind::File(_) if tree.node(id).metadata.mode & 0o100 != 0 => return Ok(()),
                Kind::File(_) => {
                    return Err(ShellError::NotExecutable {
                        shell: self.shell.into(),
                        at: self.at(),
                    });
                }
                _ => return Err(self.not_a_file(tree.node(id).kind.name())),
            }
        }
        Err(self.not_a_file("a directory"))
    }

    /// What stands where it stands.
    fn look(&self) -> Result<Found<'a>, ShellError> {
        let store_names = STORE_DIRECTORY.split('/').skip(1).map(str::as_bytes);
        let above: Vec<_> = store_names.collect();
        let names: Vec<_> = self.names.iter().map(Vec::as_slice).collect();
        if above.starts_with(&names) {
            return Ok(Found::AboveStorePaths);
        }
        let below = names.strip_prefix(&*above);
        let tree = below.and_then(|names| self.store.get(names.first()?));
        let (Some(below), Some(tree)) = (below, tree) else {
            return Err(ShellError::NotInClosure {
                shell: self.shell.into(),
                at: self.at(),
            });
        };
        let mut id = Tree::ROOT;
        for name in &below[1..] {
            let name = Name::new(name).map_err(|_| self.missing())?;
            id = tree.lookup(id, &name).ok_or_else(|| self.missing())?;
        }
        Ok(Found::Node(tree, id))
    }

    /// Where it stands.
    fn at(&self) -> PathBuf {
        let names = self.names.iter().map(|name| OsStr::from_bytes(name));
        Path::new("/").join(names.collect::<PathBuf>())
    }

    fn missing(&self) -> ShellError {
        ShellError::Missing {
            shell: self.shell.into(),
            at: self.at(),
        }
    }

    fn not_a_file(&self, kind: &'static str) -> ShellError {
        ShellError::NotAFile {
            shell: self.shell.into(),
            at: self.at(),
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use crate::tree::{Metadata, Node, Timestamp};

    const ONE: &str = "11111111111111111111111111111111-one";
    const TWO: &str = "22222222222222222222222222222222-two";

    fn metadata(mode: u16) -> Metadata {
        Metadata::of_root(mode, Timestamp::from_seconds(1))
    }

    fn file(mode: u16) -> Node {
        Node::file(metadata(mode), Source::bytes(*b"#!"))
    }

    fn symlink(target: impl AsRef<[u8]>) -> Node {
        Node::symlink(metadata(0o777), target.as_ref())
    }

    fn tree_of(entries: impl IntoIterator<Item = (&'static str, Node)>) -> Tree {
        let mut tree = Tree::new(Node::directory(metadata(0o555)));
        for (name, node) in entries {
            tree.insert(Tree::ROOT, Name::new(name).unwrap(), node)
                .unwrap();
        }
        tree
    }

    /// Two store paths: `one` with symlinks of all kinds, `two` with what they lead to.
    fn store() -> Vec<(StorePath, Tree)> {
        let one = tree_of([
            ("relative", symlink(format!("../{TWO}/sh"))),
            ("absolute", symlink(format!("{STORE_DIRECTORY}/{TWO}/./sh"))),
            ("bin", symlink(format!("../../store/{TWO}"))),
            ("chain", symlink("relative")),
            ("loop", symlink("loop")),
            ("dangling", symlink(format!("../{TWO}/nothing"))),
            ("outside", symlink("/run/current-system/sw/bin/sh")),
            (
                "elsewhere",
                symlink(format!("../{}", TWO.replace('2', "3"))),
            ),
        ]);
        let two = tree_of([
            ("sh", file(0o555)),
            ("text", file(0o444)),
            (
                "fifo",
                Node {
                    metadata: metadata(0o555).into(),
                    kind: Kind::Fifo,
                },
            ),
        ]);
        let path = |name| StorePath::from_base_name(name).unwrap();
        vec![(path(ONE), one), (path(TWO), two)]
    }

    fn check_in(base_name: &str, rest: &str) -> Result<(), ShellError> {
        check(
            &Path::new(STORE_DIRECTORY).join(base_name).join(rest),
            &store(),
        )
    }

    #[test]
    fn symlinks_are_followed_as_the_kernel_does() {
        for (base_name, rest) in [
            (TWO, "sh"),
            (TWO, "../22222222222222222222222222222222-two/sh"),
            (ONE, "relative"),
            (ONE, "absolute"),
            (ONE, "chain"),
            (ONE, "bin/sh"),
            (ONE, "bin/../11111111111111111111111111111111-one/bin/sh"),
        ] {
            assert_eq!(check_in(base_name, rest), Ok(()), "{base_name} {rest}");
        }
    }

    #[test]
    fn what_leads_to_nothing_is_named_with_the_place_where_it_ends() {
        let missing = |rest| match check_in(ONE, rest) {
            Err(ShellError::Missing { at, .. }) => at.display().to_string(),
            other => panic!("{rest}: {other:?}"),
        };
        assert_eq!(missing("nothing"), format!("/nix/store/{ONE}/nothing"));
        assert_eq!(missing("dangling"), format!("/nix/store/{TWO}/nothing"));
        assert_eq!(missing("bin/sh/x"), format!("/nix/store/{TWO}/sh"));
    }

    #[test]
    fn what_leaves_the_closure_is_named_with_the_place_where_it_does() {
        let outside = |rest| match check_in(ONE, rest) {
            Err(ShellError::NotInClosure { at, .. }) => at.display().to_string(),
            other => panic!("{rest}: {other:?}"),
        };
        assert_eq!(outside("outside"), "/run");
        assert_eq!(
            outside("elsewhere"),
            format!("/nix/store/{}", TWO.replace('2', "3"))
        );
        assert_eq!(outside("../../../etc"), "/etc");
        let elsewhere = check(Path::new("/bin/sh"), &store());
        assert!(
            matches!(elsewhere, Err(ShellError::NotInStore { .. })),
            "{elsewhere:?}"
        );
    }

    #[test]
    fn only_an_executable_file_is_a_shell() {
        let directory = check_in(ONE, "bin").unwrap_err();
        assert_eq!(
            directory.to_string(),
            format!(
                "the shell /nix/store/{ONE}/bin leads to /nix/store/{TWO}, which is a directory and no file; name an executable in a path of the closure"
            )
        );
        let fifo = check_in(TWO, "fifo").unwrap_err();
        assert!(
            matches!(fifo, ShellError::NotAFile { kind: "a FIFO", .. }),
            "{fifo}"
        );
        let text = check_in(TWO, "text").unwrap_err();
        assert!(matches!(text, ShellError::NotExecutable { .. }), "{text}");
        let store_directory = check_in("", "").unwrap_err();
        assert!(
            matches!(store_directory, ShellError::NotAFile { .. }),
            "{store_directory}"
        );
    }

    #[test]
    fn symlinks_are_followed_as_often_as_the_kernel_does() {
        let endless = check_in(ONE, "loop").unwrap_err();
        assert!(
            matches!(endless, ShellError::TooManySymlinks { .. }),
            "{endless}"
        );
        let path = StorePath::from_base_name(ONE).unwrap();
        let shell = path.to_path().join("0");
        let chain = |links: usize| {
            let names: Vec<_> = (0..=links).map(|n| n.to_string()).collect();
            let mut tree = tree_of([]);
            for (n, name) in names.iter().enumerate() {
                let node = names.get(n + 1).map_or(file(0o555), symlink);
                tree.insert(Tree::ROOT, Name::new(name).unwrap(), node)
                    .unwrap();
            }
            check(&shell, &[(path.clone(), tree)])
        };
        assert_eq!(chain(MAX_SYMLINKS), Ok(()));
        assert!(chain(MAX_SYMLINKS + 1).is_err());
    }
}
