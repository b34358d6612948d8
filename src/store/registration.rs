//! The registration: a closure as text for `nix-store --load-db`.

use std::collections::BTreeMap;

use super::{NarHash, StorePath, StorePathError, ValidPath};

/// The name of the file that holds it, in an image and beside one.
pub const REGISTRATION_NAME: &str = "nix-path-registration";

/// What `nix-store --load-db` reads to make `paths` valid
/// (`decodeValidPathInfo` in Nix's `store-api.cc`). It has no place for content
/// addresses, and the deriver is left empty.
#[must_use]
pub fn registration(paths: &[ValidPath]) -> Vec<u8> {
    let text: String = paths.iter().flat_map(lines).collect();
    text.into_bytes()
}

fn lines(valid: &ValidPath) -> impl Iterator<Item = String> {
    let deriver = String::new();
    [
        valid.path.to_string(),
        valid.nar_hash.to_hex(),
        valid.nar_size.to_string(),
        deriver,
        valid.references.len().to_string(),
    ]
    .into_iter()
    .chain(valid.references.iter().map(ToString::to_string))
    .map(|line| line + "\n")
}

/// A registration that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the registration")]
pub struct RegistrationError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub fault: RegistrationFault,
}

/// What may be wrong with a line of a registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationFault {
    /// It is no text.
    #[error("it is not UTF-8")]
    NoText,
    /// It is missing.
    #[error("it ends where the {what} has to follow; was it cut off?")]
    Missing {
        /// What belongs there.
        what: &'static str,
    },
    /// It is something else.
    #[error("{found:?} is no {what}")]
    Other {
        /// What belongs there.
        what: &'static str,
        /// The line.
        found: String,
    },
    /// It should name a store path.
    #[error(transparent)]
    Path(#[from] StorePathError),
    /// A path that is registered before.
    #[error("{path} is registered once more")]
    Again {
        /// The path.
        path: StorePath,
    },
}

/// The paths that a registration makes valid, by path; derivers are dropped.
pub fn parse_registration(
    bytes: &[u8],
) -> Result<BTreeMap<StorePath, ValidPath>, RegistrationError> {
    let mut lines = Lines {
        left: bytes,
        line: 0,
    };
    let mut paths = BTreeMap::new();
    while !lines.left.is_empty() {
        let valid = lines.valid_path().map_err(|fault| RegistrationError {
            line: lines.line,
            fault,
        })?;
        let path = valid.path.clone();
        if paths.insert(path.clone(), valid).is_some() {
            return Err(RegistrationError {
                line: lines.line,
                fault: RegistrationFault::Again { path },
            });
        }
    }
    Ok(paths)
}

/// What is left of a registration.
struct Lines<'a> {
    left: &'a [u8],
    /// The number of the line that was read last.
    line: usize,
}

impl<'a> Lines<'a> {
    fn valid_path(&mut self) -> Result<ValidPath, RegistrationFault> {
        let path = StorePath::parse(self.next("store path")?)?;
        let nar_hash = self.next_as("NAR hash of 64 hex digits", |text| {
            format!("sha256:{text}").parse::<NarHash>().ok()
        })?;
        let nar_size = self.next_as("number of bytes", |text| text.parse().ok())?;
        self.next("deriver, or an empty line,")?;
        let count: u64 = self.next_as("number of references", |text| text.parse().ok())?;
        let mut references = Vec::new();
        for _ in 0..count {
            references.push(StorePath::parse(self.next("next reference")?)?);
        }
        references.sort();
        Ok(ValidPath {
            path,
            nar_hash,
            nar_size,
            references,
            ca: None,
        })
    }

    /// The next line, which should be `what`.
    fn next(&mut self, what: &'static str) -> Result<&'a str, RegistrationFault> {
        self.line += 1;
        if self.left.is_empty() {
            return Err(RegistrationFault::Missing { what });
        }
        let end = self.left.iter().position(|byte| *byte == b'\n');
        let (line, left) = self.left.split_at(end.unwrap_or(self.left.len()));
        self.left = left.strip_prefix(b"\n").unwrap_or_default();
        str::from_utf8(line).map_err(|_| RegistrationFault::NoText)
    }

    /// The next line as a value, if it is `what`.
    fn next_as<T>(
        &mut self,
        what: &'static str,
        value: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, RegistrationFault> {
        let line = self.next(what)?;
        value(line).ok_or_else(|| RegistrationFault::Other {
            what,
            found: line.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use serde_json::json;

    use super::*;
    use crate::store::Graph;

    fn paths() -> Vec<ValidPath> {
        let paths = ["a", "b"].map(|letter| format!("/nix/store/{}-{letter}", letter.repeat(32)));
        let hash = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        let graph = json!([
            { "path": paths[1], "narHash": hash, "narSize": 112, "references": [] },
            { "path": paths[0], "narHash": hash, "narSize": 1, "references": paths, "ca": "x" },
        ]);
        let mut paths = Graph::parse("g", &graph).unwrap().paths;
        paths.sort_by(|a, b| a.path.cmp(&b.path));
        paths
    }

    /// What `nix-store` prints, with a store of its own in the directory `root`.
    fn nix_store(root: &Path, operation: &str, input: &[u8]) -> Vec<u8> {
        let mut nix_store = Command::new("nix-store")
            .arg("--store")
            .arg(root)
            .arg(operation)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        nix_store.stdin.take().unwrap().write_all(input).unwrap();
        let output = nix_store.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    #[test]
    fn nix_store_loads_it_and_dumps_it_again() {
        let root = tempfile::tempdir().unwrap();
        let registration = registration(&paths());
        nix_store(root.path(), "--load-db", &registration);
        let dumped = nix_store(root.path(), "--dump-db", b"");
        assert_eq!(String::from_utf8(dumped), String::from_utf8(registration));
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let expected: BTreeMap<_, _> = paths()
            .into_iter()
            .map(|valid| (valid.path.clone(), ValidPath { ca: None, ..valid }))
            .collect();
        assert_eq!(parse_registration(&registration(&paths())), Ok(expected));
        assert_eq!(parse_registration(b""), Ok(BTreeMap::new()));
    }

    #[test]
    fn what_is_no_registration_is_refused_with_the_line() {
        let text = String::from_utf8(registration(&paths())).unwrap();
        let refused = |text: &str| {
            let error = parse_registration(text.as_bytes()).unwrap_err();
            (error.line, error.fault.to_string())
        };
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let with = |index: usize, line: &'static str| {
            let mut lines = lines.clone();
            lines[index] = line;
            lines.concat()
        };
        assert_eq!(refused(&lines[..1].concat()).0, 2);
        assert_eq!(refused(&lines[..6].concat()).0, 7);
        assert_eq!(refused(&with(0, "/x\n")).0, 1);
        let (line, fault) = refused(&with(1, "12\n"));
        assert_eq!(line, 2);
        assert_eq!(fault, "\"12\" is no NAR hash of 64 hex digits");
        assert_eq!(refused(&with(2, "-1\n")).0, 3);
        assert_eq!(refused(&with(4, "18446744073709551615\n")).0, 9);
        assert_eq!(refused(&(text.clone() + &text)).0, 19);
        assert_eq!(
            parse_registration(b"\xff\n").unwrap_err().fault,
            RegistrationFault::NoText
        );
    }

    #[test]
    fn it_has_a_line_for_each_thing_that_nix_knows() {
        let expected = "\
/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
1

2
/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a
/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b
/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
112

0
";
        assert_eq!(String::from_utf8(registration(&paths())).unwrap(), expected);
    }
}
