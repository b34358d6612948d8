//! Closures: store paths with all that they refer to.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Graph, NarHash, StorePath};

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    paths: BTreeMap<StorePath, ValidPath>,
}

/// Graphs that make no closure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosureError {
    /// Two graphs tell different things of one path.
    #[error(
        "{path} has the {attribute} {:?} in the graph {:?} and {:?} in the graph {:?}; take both graphs from one store",
        values[0].value, values[0].graph, values[1].value, values[1].graph
    )]
    Disagreement {
        /// The path.
        path: StorePath,
        /// The attribute of it in which they differ.
        attribute: &'static str,
        /// What each graph says.
        values: Box<[Claim; 2]>,
    },
    /// A path refers to one that no graph has.
    #[error(
        "{path} refers to {reference}, which is in no graph; give exportReferencesGraph a path that leads to it"
    )]
    Incomplete {
        /// The path that refers.
        path: StorePath,
        /// The path that is missing.
        reference: StorePath,
    },
}

/// What a graph says of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The graph's name.
    pub graph: String,
    /// The attribute's value.
    pub value: String,
}

impl Closure {
    /// The union of `graphs`, whatever their order.
    pub fn from_graphs(graphs: impl IntoIterator<Item = Graph>) -> Result<Self, ClosureError> {
        let mut claims: BTreeMap<StorePath, Vec<(String, ValidPath)>> = BTreeMap::new();
        for graph in graphs {
            for valid in graph.paths {
                let path = valid.path.clone();
                let claim = (graph.name.clone(), valid);
                claims.entry(path).or_default().push(claim);
            }
        }
        let paths = claims
            .into_iter()
            .map(|(path, claims)| Ok((path, agreed(claims)?)))
            .collect::<Result<_, _>>()?;
        let closure = Self { paths };
        closure.check_complete()?;
        Ok(closure)
    }

    /// The paths, in order.
    #[must_use]
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &ValidPath> {
        self.paths.values()
    }

    /// Whether `path` is one of them.
    #[must_use]
    pub fn contains(&self, path: &StorePath) -> bool {
        self.paths.contains_key(path)
    }

    fn check_complete(&self) -> Result<(), ClosureError> {
        for valid in self.paths() {
            for reference in &valid.references {
                if !self.contains(reference) {
                    return Err(ClosureError::Incomplete {
                        path: valid.path.clone(),
                        reference: reference.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// What all of `claims`, which are of one path, say.
fn agreed(mut claims: Vec<(String, ValidPath)>) -> Result<ValidPath, ClosureError> {
    claims.sort_by(|(a, _), (b, _)| a.cmp(b)); // the message does not hang on their order
    let (graph, first) = &claims[0];
    for (other_graph, other) in &claims[1..] {
        for ((attribute, value), (_, other_value)) in
            attributes(first).into_iter().zip(attributes(other))
        {
            if value != other_value {
                let mut values =
                    [(graph, value), (other_graph, other_value)].map(|(graph, value)| Claim {
                        graph: graph.clone(),
                        value,
                    });
                values.sort();
                return Err(ClosureError::Disagreement {
                    path: first.path.clone(),
                    attribute,
                    values: values.into(),
                });
            }
        }
    }
    Ok(claims.swap_remove(0).1)
}

/// What is said of a path, for comparing and for reading.
fn attributes(valid: &ValidPath) -> [(&'static str, String); 4] {
    let references: Vec<_> = valid.references.iter().map(ToString::to_string).collect();
    [
        ("narHash", valid.nar_hash.to_string()),
        ("narSize", valid.nar_size.to_string()),
        ("references", references.join(" ")),
        ("ca", valid.ca.clone().unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(letter: char) -> StorePath {
        StorePath::from_base_name(&format!("{}-{letter}", letter.to_string().repeat(32))).unwrap()
    }

    fn valid(letter: char, references: &str) -> ValidPath {
        ValidPath {
            path: path(letter),
            nar_hash: NarHash([0; 32]),
            nar_size: 112,
            references: references.chars().map(path).collect(),
            ca: None,
        }
    }

    fn graph(name: &str, paths: Vec<ValidPath>) -> Graph {
        Graph {
            name: name.into(),
            paths,
        }
    }

    #[test]
    fn graphs_merge_to_one_closure_in_any_order() {
        let one = || graph("one", vec![valid('c', ""), valid('a', "ac")]);
        let two = || graph("two", vec![valid('b', "c"), valid('c', "")]);
        let empty = || graph("empty", vec![]);
        let closure = Closure::from_graphs([one(), empty(), two()]).unwrap();
        assert_eq!(
            closure.paths().cloned().collect::<Vec<_>>(),
            [valid('a', "ac"), valid('b', "c"), valid('c', "")]
        );
        assert_eq!(Closure::from_graphs([two(), one()]), Ok(closure));
    }

    #[test]
    fn a_reference_may_lead_to_another_graph() {
        let closure = Closure::from_graphs([
            graph("one", vec![valid('a', "b")]),
            graph("two", vec![valid('b', "")]),
        ]);
        assert!(closure.unwrap().contains(&path('b')));
    }

    #[test]
    fn a_reference_to_what_is_not_there_is_named() {
        let error = Closure::from_graphs([graph("one", vec![valid('b', ""), valid('a', "bc")])]);
        assert_eq!(
            error,
            Err(ClosureError::Incomplete {
                path: path('a'),
                reference: path('c'),
            })
        );
    }

    #[test]
    fn graphs_that_disagree_are_named_with_both_values_in_any_order() {
        type Change = fn(&mut ValidPath);
        let changes: [(&str, Change); 4] = [
            ("narHash", |valid| valid.nar_hash = NarHash([1; 32])),
            ("narSize", |valid| valid.nar_size = 113),
            ("references", |valid| valid.references.clear()),
            ("ca", |valid| valid.ca = Some("fixed".into())),
        ];
        for (name, change) in changes {
            let one = graph("one", vec![valid('a', "a")]);
            let mut two = graph("two", vec![valid('a', "a")]);
            change(&mut two.paths[0]);
            let error = Closure::from_graphs([one.clone(), two.clone()]).unwrap_err();
            assert_eq!(Closure::from_graphs([two, one]), Err(error.clone()));
            let ClosureError::Disagreement {
                path: of,
                attribute,
                values,
            } = error
            else {
                panic!("{error}")
            };
            assert_eq!((of, attribute), (path('a'), name));
            assert_eq!((&*values[0].graph, &*values[1].graph), ("one", "two"));
            assert_ne!(values[0].value, values[1].value);
        }
    }
}
