//! Closures: store paths with all that they refer to.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Deserialize;

use super::nar::{self, HashingWriter, NarError};
use super::{Content, Input, Member, NarDigest, NarHash, StorePath};
use crate::tree::Tree;

/// A store path and what Nix's database knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidPath {
    /// The store path.
    pub path: StorePath,
    /// The SHA-256 of its NAR.
    pub nar_hash: NarHash,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// What it refers to, in order, each once; itself only if it does.
    pub references: Vec<StorePath>,
    /// The content address, if it has one.
    pub ca: Option<String>,
}

/// Store paths in order, with every path that one of them refers to.
#[derive(Clone, Debug, Default)]
pub struct Closure {
    paths: BTreeMap<StorePath, ClosurePath>,
}

/// A store path, and what all inputs that have it say together.
#[derive(Clone, Debug)]
pub struct ClosurePath {
    /// The store path.
    pub path: StorePath,
    /// Its NAR, and the input that says so; nothing if none knows.
    pub nar: Option<(NarDigest, String)>,
    /// What it refers to, in order, each once; itself only if it does.
    pub references: Vec<StorePath>,
    /// The content address, if an input gives one.
    pub ca: Option<String>,
    /// Where its content is taken from, and the input that has it.
    pub content: (Content, String),
    /// Who says so of the references, as `byte 5 of the export /x`.
    said_by: String,
    /// The same content in other streams, each with its input.
    duplicates: Vec<(Tree, String)>,
}

/// Inputs that make no closure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosureError {
    /// Two inputs tell different things of one path.
    #[error(
        "{path} has the {attribute} {:?} in {} and {:?} in {}; take both from one store",
        values[0].value, values[0].input, values[1].value, values[1].input
    )]
    Disagreement {
        /// The path.
        path: StorePath,
        /// The attribute of it in which they differ.
        attribute: &'static str,
        /// What each input says.
        values: Box<[Claim; 2]>,
    },
    /// A path refers to one that no input has.
    #[error(
        "{path} refers to {reference}, says {said_by}; no graph, export or binary cache that was given has it, so give one that leads to it"
    )]
    Incomplete {
        /// The path that refers.
        path: StorePath,
        /// The path that is missing.
        reference: StorePath,
        /// Who says so, as `byte 5 of the export /x`.
        said_by: String,
    },
}

/// A content that is not what an input says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} in {} has the NAR hash {} and {} bytes, but {} says {} and {}; one of the two is damaged: `nix-store --verify-path` tells whether it is the path in a store, and a stream or cache has to be made again",
    found.1, found.0.hash, found.0.size, expected.1, expected.0.hash, expected.0.size
)]
pub struct MismatchError {
    /// The store path.
    pub path: StorePath,
    /// The content's NAR, and what holds it.
    pub found: Box<(NarDigest, String)>,
    /// The NAR that it should have, and the input that says so.
    pub expected: Box<(NarDigest, String)>,
}

/// A content that is given twice and does not agree, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DuplicateError {
    /// It is another.
    #[error(transparent)]
    Mismatch(#[from] MismatchError),
    /// It could not be hashed.
    #[error("cannot hash {path}, which two inputs hold")]
    Hash {
        /// The store path.
        path: StorePath,
        /// The reason.
        source: NarError,
    },
}

/// What an input says of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The input's name.
    pub input: String,
    /// The attribute's value.
    pub value: String,
}

impl Closure {
    /// The union of `inputs`, whatever their order.
    pub fn new(inputs: impl IntoIterator<Item = Input>) -> Result<Self, ClosureError> {
        let mut said: BTreeMap<StorePath, Vec<(String, Member)>> = BTreeMap::new();
        for input in inputs {
            for member in input.members {
                let path = member.path.clone();
                let claim = (input.name.clone(), member);
                said.entry(path).or_default().push(claim);
            }
        }
        let paths = said
            .into_iter()
            .map(|(path, members)| Ok((path, agreed(members)?)))
            .collect::<Result<_, _>>()?;
        let closure = Self { paths };
        closure.check_complete()?;
        Ok(closure)
    }

    /// The paths, in order.
    #[must_use]
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &ClosurePath> {
        self.paths.values()
    }

    /// Whether `path` is one of them.
    #[must_use]
    pub fn contains(&self, path: &StorePath) -> bool {
        self.paths.contains_key(path)
    }

    /// Hashes the contents that will not be copied, since the same path has another one:
    /// all must agree. The first mismatch in path order is reported.
    pub fn check_duplicates(&mut self) -> Result<(), DuplicateError> {
        for path in self.paths.values_mut() {
            let digests: Vec<Result<_, DuplicateError>> = path
                .duplicates
                .par_iter()
                .map(|(tree, input)| Ok((digest(tree, &path.path)?, input.clone())))
                .collect();
            for digest in digests {
                let found = digest?;
                let expected = path.nar.get_or_insert_with(|| found.clone());
                if expected.0 != found.0 {
                    return Err(MismatchError {
                        path: path.path.clone(),
                        found: found.into(),
                        expected: expected.clone().into(),
                    }
                    .into());
                }
            }
            path.duplicates.clear();
        }
        Ok(())
    }

    fn check_complete(&self) -> Result<(), ClosureError> {
        for member in self.paths() {
            for reference in &member.references {
                if !self.contains(reference) {
                    return Err(ClosureError::Incomplete {
                        path: member.path.clone(),
                        reference: reference.clone(),
                        said_by: member.said_by.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl ValidPath {
    /// A path of a closure, with its NAR.
    #[must_use]
    pub fn new(path: &ClosurePath, nar: NarDigest) -> Self {
        Self {
            path: path.path.clone(),
            nar_hash: nar.hash,
            nar_size: nar.size,
            references: path.references.clone(),
            ca: path.ca.clone(),
        }
    }
}

impl ClosurePath {
    /// What Nix's database will know of it, when its content turned out to be `found`; if
    /// nobody looked, its inputs are believed.
    ///
    /// # Panics
    ///
    /// If nobody looked and no input knows either.
    pub fn settle(&self, found: Option<NarDigest>) -> Result<ValidPath, MismatchError> {
        let said = self.nar.as_ref();
        let nar = found
            .or(said.map(|(nar, _)| *nar))
            .expect("what nobody knows is looked at");
        match said {
            Some(said) if said.0 != nar => Err(MismatchError {
                path: self.path.clone(),
                found: (nar, self.holder()).into(),
                expected: said.clone().into(),
            }),
            _ => Ok(ValidPath::new(self, nar)),
        }
    }

    /// What holds the content.
    fn holder(&self) -> String {
        match &self.content {
            (Content::Live, _) => "the store of this host".into(),
            (Content::Stream(_), input) => input.clone(),
        }
    }
}

fn digest(tree: &Tree, path: &StorePath) -> Result<NarDigest, DuplicateError> {
    let mut hashing = HashingWriter::default();
    nar::write_tree(tree, &mut hashing).map_err(|source| DuplicateError::Hash {
        path: path.clone(),
        source,
    })?;
    let (hash, size) = hashing.finish();
    Ok(NarDigest { hash, size })
}

/// What all of `members`, which are of one path, say together.
fn agreed(mut members: Vec<(String, Member)>) -> Result<ClosurePath, ClosureError> {
    members.sort_by(|(a, _), (b, _)| a.cmp(b)); // the outcome does not hang on their order
    check_agreement(&members, "narHash", |member| {
        member.nar.map(|nar| nar.hash.to_string())
    })?;
    check_agreement(&members, "narSize", |member| {
        member.nar.map(|nar| nar.size.to_string())
    })?;
    check_agreement(&members, "references", |member| {
        let references: Vec<_> = member.references.iter().map(ToString::to_string).collect();
        Some(references.join(" "))
    })?;
    check_agreement(&members, "ca", |member| member.ca.clone())?;

    let nar = members
        .iter()
        .find_map(|(input, member)| Some((member.nar?, input.clone())));
    let ca = members.iter().find_map(|(_, member)| member.ca.clone());
    // The host's store is there anyway; a stream has to be looked at in any case.
    let in_host_store = |(_, member): &(String, Member)| matches!(member.content, Content::Live);
    let chosen = members.iter().position(in_host_store).unwrap_or(0);
    let (input, member) = members.swap_remove(chosen);
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(ClosurePath {
        path: member.path,
        nar,
        references: member.references,
        ca,
        said_by: match member.offset {
            None => input.clone(),
            Some(offset) => format!("byte {offset} of {input}"),
        },
        content: (member.content, input),
        duplicates: members
            .into_iter()
            .filter_map(|(input, member)| match member.content {
                Content::Live => None,
                Content::Stream(tree) => Some((tree, input)),
            })
            .collect(),
    })
}

/// Fails if two of `members` give different values. One that gives none agrees with all:
/// its form may have no place for it.
fn check_agreement(
    members: &[(String, Member)],
    attribute: &'static str,
    value: impl Fn(&Member) -> Option<String>,
) -> Result<(), ClosureError> {
    // Nearly all paths are of one input, and a claim has a text for all references.
    if members.len() == 1 {
        return Ok(());
    }
    let mut claims = members.iter().filter_map(|(input, member)| {
        let value = value(member)?;
        let input = input.clone();
        Some(Claim { input, value })
    });
    let Some(first) = claims.next() else {
        return Ok(());
    };
    match claims.find(|claim| claim.value != first.value) {
        None => Ok(()),
        Some(other) => {
            let mut values = [first, other];
            values.sort();
            Err(ClosureError::Disagreement {
                path: members[0].1.path.clone(),
                attribute,
                values: values.into(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use crate::tree::{Metadata, Node, Timestamp};

    fn path(letter: char) -> StorePath {
        StorePath::from_base_name(&format!("{}-{letter}", letter.to_string().repeat(32))).unwrap()
    }

    fn digest(byte: u8) -> NarDigest {
        NarDigest {
            hash: NarHash([byte; 32]),
            size: 112,
        }
    }

    fn member(letter: char, references: &str) -> Member {
        Member {
            path: path(letter),
            nar: Some(digest(0)),
            references: references.chars().map(path).collect(),
            ca: None,
            offset: None,
            content: Content::Live,
        }
    }

    fn input(name: &str, members: Vec<Member>) -> Input {
        Input {
            name: name.into(),
            members,
        }
    }

    /// A stream's member: a file of these bytes, whose hash nobody tells.
    fn streamed(letter: char, bytes: &str) -> Member {
        let metadata = Metadata::of_root(0o444, Timestamp::from_seconds(1));
        let file = Node::file(metadata, Source::bytes(bytes.as_bytes()));
        Member {
            nar: None,
            content: Content::Stream(Tree::new(file)),
            ..member(letter, "")
        }
    }

    fn paths(closure: &Closure) -> Vec<(StorePath, Vec<StorePath>)> {
        let path = |path: &ClosurePath| (path.path.clone(), path.references.clone());
        closure.paths().map(path).collect()
    }

    #[test]
    fn inputs_merge_to_one_closure_in_any_order() {
        let one = || input("one", vec![member('c', ""), member('a', "ac")]);
        let two = || input("two", vec![member('b', "c"), member('c', "")]);
        let empty = || input("empty", vec![]);
        let closure = Closure::new([one(), empty(), two()]).unwrap();
        let expected = [("a", "ac"), ("b", "c"), ("c", "")].map(|(name, references)| {
            let letter = name.chars().next().unwrap();
            (path(letter), references.chars().map(path).collect())
        });
        assert_eq!(paths(&closure), expected);
        assert_eq!(paths(&Closure::new([two(), one()]).unwrap()), expected);
    }

    #[test]
    fn a_reference_may_lead_to_another_input() {
        let closure = Closure::new([
            input("one", vec![member('a', "b")]),
            input("two", vec![member('b', "")]),
        ]);
        assert!(closure.unwrap().contains(&path('b')));
    }

    #[test]
    fn a_reference_to_what_is_not_there_is_named() {
        for (offset, said_by) in [(None, "one"), (Some(5), "byte 5 of one")] {
            let mut members = vec![member('b', ""), member('a', "bc")];
            members[1].offset = offset;
            assert_eq!(
                Closure::new([input("one", members)]).unwrap_err(),
                ClosureError::Incomplete {
                    path: path('a'),
                    reference: path('c'),
                    said_by: said_by.into(),
                }
            );
        }
    }

    #[test]
    fn inputs_that_disagree_are_named_with_both_values_in_any_order() {
        type Change = fn(&mut Member);
        let changes: [(&str, Change); 4] = [
            ("narHash", |member| member.nar = Some(digest(1))),
            ("narSize", |member| {
                member.nar = Some(NarDigest {
                    size: 113,
                    ..digest(0)
                });
            }),
            ("references", |member| member.references.clear()),
            ("ca", |member| member.ca = Some("fixed".into())),
        ];
        for (name, change) in changes {
            let mut member = member('a', "a");
            member.ca = Some("text".into());
            let one = input("one", vec![member.clone()]);
            change(&mut member);
            let two = input("two", vec![member]);
            let error = Closure::new([one.clone(), two.clone()]).unwrap_err();
            assert_eq!(Closure::new([two, one]).unwrap_err(), error);
            let ClosureError::Disagreement {
                path: of,
                attribute,
                values,
            } = error
            else {
                panic!("{error}")
            };
            assert_eq!((of, attribute), (path('a'), name));
            assert_eq!((&*values[0].input, &*values[1].input), ("one", "two"));
            assert_ne!(values[0].value, values[1].value);
        }
    }

    #[test]
    fn what_one_input_does_not_know_another_tells() {
        let mut knows = member('a', "");
        knows.ca = Some("fixed".into());
        let does_not = Member {
            nar: None,
            ca: None,
            ..member('a', "")
        };
        let closure = Closure::new([input("one", vec![does_not]), input("two", vec![knows])]);
        let closure = closure.unwrap();
        let path = closure.paths().next().unwrap();
        assert_eq!(path.nar, Some((digest(0), "two".into())));
        assert_eq!(path.ca.as_deref(), Some("fixed"));
    }

    #[test]
    fn the_same_path_in_two_streams_must_have_one_content() {
        let closure = |second: &str| {
            let first = input("first", vec![streamed('a', "content")]);
            let second = input("second", vec![streamed('a', second)]);
            Closure::new([first, second]).unwrap()
        };
        let mut same = closure("content");
        same.check_duplicates().unwrap();
        let path = same.paths().next().unwrap();
        let (expected, claimer) = path.nar.clone().unwrap();
        assert_eq!(claimer, "second");
        assert!(path.settle(Some(expected)).is_ok());

        let mut other = closure("tnetnoc");
        other.check_duplicates().unwrap();
        let error = other
            .paths()
            .next()
            .unwrap()
            .settle(Some(expected))
            .unwrap_err();
        assert_eq!((&*error.found.1, &*error.expected.1), ("first", "second"));
    }

    #[test]
    fn a_stream_beside_the_hosts_store_is_compared_with_what_nix_says() {
        let graph = input("graph", vec![member('a', "")]);
        let export = input("export", vec![streamed('a', "content")]);
        let mut closure = Closure::new([export, graph]).unwrap();
        assert!(matches!(
            closure.paths().next().unwrap().content.0,
            Content::Live
        ));
        let error = closure.check_duplicates().unwrap_err();
        let DuplicateError::Mismatch(error) = error else {
            panic!("{error}")
        };
        assert_eq!((&*error.found.1, &*error.expected.1), ("export", "graph"));
        assert_eq!(error.expected.0, digest(0));
    }
}
