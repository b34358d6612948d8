//! Patterns in the sources of contents, expanded as bash does: `*`, `?` and `[…]` in each name
//! by itself, and no leading dot by them. Names are bytes, and so is their order.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// A pattern that cannot be expanded.
#[derive(Debug, thiserror::Error)]
pub enum GlobError {
    /// A name that is no pattern, and looks like one.
    #[error(
        "{:?} is no pattern; a bracket that stands for itself is written [[] or []]", pattern.display()
    )]
    Pattern {
        /// The name.
        pattern: PathBuf,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// A directory that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// The paths that `pattern` stands for, in order; it lies below `store`, and the name of its
/// store path is none. Symlinks to directories are followed within the store.
pub(super) fn expand(store: &Path, pattern: &Path) -> Result<Vec<PathBuf>, GlobError> {
    let real_store = real(store)?.unwrap_or_else(|| store.into());
    let below = pattern.strip_prefix(store).unwrap_or(pattern);
    let mut names = below.components().map(Component::as_os_str);
    let store_path = names.next().unwrap_or_default();
    let mut found = vec![store.join(store_path)];
    for name in names {
        let name = Part::new(name)?;
        let mut deeper = Vec::new();
        for path in found {
            let directory = real(&path)?.filter(|real| real.starts_with(&real_store));
            if let Some(directory) = directory {
                let names = name.names_in(&directory)?.into_iter();
                deeper.extend(names.map(|name| path.join(name)));
            }
        }
        found = deeper;
    }
    Ok(found)
}

/// A name, or what stands for many.
enum Part<'a> {
    Name(&'a OsStr),
    Pattern {
        matcher: Box<GlobMatcher>,
        /// Whether it begins with a dot itself.
        is_hidden: bool,
    },
}

impl<'a> Part<'a> {
    fn new(part: &'a OsStr) -> Result<Self, GlobError> {
        let bytes = part.as_bytes();
        if !bytes.iter().any(|byte| b"*?[".contains(byte)) {
            return Ok(Self::Name(part));
        }
        // Braces are none of bash's pattern matching.
        let pattern: String = String::from_utf8_lossy(bytes)
            .chars()
            .flat_map(|character| match character {
                '{' | '}' => vec!['[', character, ']'],
                _ => vec![character],
            })
            .collect();
        let glob = GlobBuilder::new(&pattern)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|source| GlobError::Pattern {
                pattern: part.into(),
                source,
            })?;
        Ok(Self::Pattern {
            matcher: Box::new(glob.compile_matcher()),
            is_hidden: bytes.starts_with(b"."),
        })
    }

    /// The names in `directory` that it stands for, in order.
    fn names_in(&self, directory: &Path) -> Result<Vec<OsString>, GlobError> {
        match self {
            Self::Name(name) => match directory.join(name).symlink_metadata() {
                Ok(_) => Ok(vec![name.into()]),
                Err(error) => absent(directory, error).map(|()| Vec::new()),
            },
            Self::Pattern { matcher, is_hidden } => {
                let entries = match fs::read_dir(directory) {
                    Ok(entries) => entries,
                    Err(error) => return absent(directory, error).map(|()| Vec::new()),
                };
                let mut names = Vec::new();
                for entry in entries {
                    let name = entry.map_err(|error| read_error(directory, error))?;
                    let name = name.file_name();
                    let hides = name.as_bytes().starts_with(b".") && !is_hidden;
                    if !hides && matcher.is_match(&name) {
                        names.push(name);
                    }
                }
                names.sort();
                Ok(names)
            }
        }
    }
}

/// Where `path` is without symlinks, if there is something.
fn real(path: &Path) -> Result<Option<PathBuf>, GlobError> {
    match path.canonicalize() {
        Ok(real) => Ok(Some(real)),
        Err(error) => absent(path, error).map(|()| None),
    }
}

/// Nothing, if that is what `error` says.
fn absent(path: &Path, error: io::Error) -> Result<(), GlobError> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(()),
        _ => Err(read_error(path, error)),
    }
}

fn read_error(path: &Path, source: io::Error) -> GlobError {
    GlobError::Read {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    /// A store of two paths, with all that a pattern may or may not stand for.
    fn store() -> tempfile::TempDir {
        let store = tempfile::tempdir().unwrap();
        let top = store.path().join("s-?x");
        fs::create_dir_all(top.join("d/deep")).unwrap();
        fs::create_dir_all(top.join("e")).unwrap();
        fs::create_dir_all(store.path().join("other/o")).unwrap();
        for file in [
            "a", "ab", "B", ".hidden", "b{c}", "b,c", "[x", "d/one", "d/.two", "e/one", "é",
            "other", "-",
        ] {
            fs::write(top.join(file), "").unwrap();
        }
        fs::write(top.join(OsStr::from_bytes(b"\xff\n")), "").unwrap();
        symlink("d", top.join("link")).unwrap();
        symlink("../other/o", top.join("over")).unwrap();
        fs::write(store.path().join("other/o/one"), "").unwrap();
        symlink("/usr", top.join("out")).unwrap();
        symlink("nowhere", top.join("dangling")).unwrap();
        store
    }

    fn expanded(store: &Path, pattern: &str) -> Vec<PathBuf> {
        expand(store, &store.join("s-?x").join(pattern)).unwrap()
    }

    /// What bash makes of it, in the C locale.
    fn bash(store: &Path, pattern: &str) -> Vec<PathBuf> {
        let script = r#"shopt -s nullglob; IFS=; cd "$1/s-?x" || exit 1; set -f
                        pattern=$2; set +f; [[ $pattern == *[*?[]* ]] || pattern=$pattern
                        printf '%s\0' $pattern"#;
        let output = Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(store)
            .arg(pattern)
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let names = output.stdout.split(|byte| *byte == 0);
        let names = names.filter(|name| !name.is_empty());
        names
            .map(|name| store.join("s-?x").join(OsStr::from_bytes(name)))
            .collect()
    }

    #[test]
    fn patterns_stand_for_what_they_do_in_bash() {
        let store = store();
        for pattern in [
            "*", "?", "??", "[ab]*", "[!ab]*", "[^ab]*", "[a-c]*", ".*", ".h*", "b{c}", "b{c,d}*",
            "*{c}", "b?c", "*/one", "d/*", "d/.*o", "link/*", "over/*", "*/", "*[[]*", "[[]x",
            "x*", "a/*", "[]-]", "\\**", "dang*", "*/*/*",
        ] {
            // Both leave out what is neither `.` nor `..` but stands for a directory itself.
            let mut expected = bash(store.path(), pattern);
            expected.retain(|path| {
                let last = path.as_os_str().as_bytes();
                !last.ends_with(b"/.") && !last.ends_with(b"/..")
            });
            let outside = store.path().join("s-?x/out");
            expected.retain(|path| !path.starts_with(&outside) || *path == outside);
            if pattern.ends_with('/') {
                continue; // a slash at the end is not seen: sources have none
            }
            if !pattern.contains(['*', '?', '[']) {
                continue; // bash gives a name that is no pattern back, there or not
            }
            assert_eq!(expanded(store.path(), pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_name_without_a_pattern_stands_for_itself_if_it_is_there() {
        let store = store();
        let path = |name| store.path().join("s-?x").join(name);
        assert_eq!(expanded(store.path(), "d/one"), [path("d/one")]);
        assert_eq!(expanded(store.path(), "dangling"), [path("dangling")]);
        assert!(expanded(store.path(), "d/three").is_empty());
        assert!(expanded(store.path(), "a/one").is_empty());
    }

    #[test]
    fn symlinks_out_of_the_store_are_not_followed() {
        let store = store();
        assert!(expanded(store.path(), "out/*").is_empty());
        assert_eq!(expanded(store.path(), "over/*").len(), 1);
    }

    #[test]
    fn the_name_of_a_store_path_is_no_pattern() {
        let store = store();
        fs::create_dir(store.path().join("s-yx")).unwrap();
        fs::write(store.path().join("s-yx/a"), "").unwrap();
        assert_eq!(expanded(store.path(), "a*").len(), 2);
    }

    #[test]
    fn an_open_bracket_is_refused() {
        let store = store();
        let error = expand(store.path(), &store.path().join("s-?x/a[b")).unwrap_err();
        assert!(
            error.to_string().starts_with("\"a[b\" is no pattern"),
            "{error}"
        );
    }
}
