//! Graphs, as `exportReferencesGraph` gives them under structured attributes.

use serde_json::Value;

use super::{Input, Member, ValidPath};

/// One attribute of `exportReferencesGraph`: some paths and all that they refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// The attribute's name.
    pub name: String,
    /// The paths, as Nix gave them.
    pub paths: Vec<ValidPath>,
}

/// A value that is no graph.
#[derive(Debug, thiserror::Error)]
#[error("{attribute} is not what exportReferencesGraph gives")]
pub struct GraphError {
    /// The path of the attribute at fault, as `closure[3].narHash`.
    pub attribute: String,
    /// What is wrong with it.
    pub source: serde_json::Error,
}

impl Graph {
    /// Reads the attribute `name`, whose value is `value`: an array, which may be
    /// empty. What Nix says of a path beyond [`ValidPath`] is ignored.
    pub fn parse(name: &str, value: &Value) -> Result<Self, GraphError> {
        let mut paths: Vec<ValidPath> =
            serde_path_to_error::deserialize(value).map_err(|error| GraphError {
                attribute: attribute(name, error.path()),
                source: error.into_inner(),
            })?;
        for path in &mut paths {
            path.references.sort();
            path.references.dedup();
        }
        Ok(Self {
            name: name.into(),
            paths,
        })
    }
}

impl From<Graph> for Input {
    fn from(graph: Graph) -> Self {
        Self {
            name: format!("the graph {:?}", graph.name),
            members: graph.paths.into_iter().map(Member::from).collect(),
        }
    }
}

fn attribute(name: &str, path: &serde_path_to_error::Path) -> String {
    if path.iter().next().is_none() {
        return name.into();
    }
    format!("{name}{path}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HASH: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    fn path(letter: char) -> String {
        format!("/nix/store/{}-{letter}", letter.to_string().repeat(32))
    }

    fn item() -> Value {
        json!({
            "path": path('a'), "narHash": HASH, "narSize": 112,
            "references": [path('c'), path('b'), path('c')],
            "ca": "fixed:out:r", "closureSize": 5, "valid": true, "of a later Nix": {},
        })
    }

    fn fault(value: &Value) -> (String, String) {
        let error = Graph::parse("closure", value).unwrap_err();
        (error.attribute, error.source.to_string())
    }

    #[test]
    fn what_nix_gives_is_read_and_its_references_are_sorted() {
        let graph = Graph::parse("closure", &json!([item()])).unwrap();
        let valid = &graph.paths[0];
        assert_eq!(graph.name, "closure");
        assert_eq!(valid.path.to_string(), path('a'));
        assert_eq!(valid.nar_hash.to_string(), HASH);
        assert_eq!(valid.nar_size, 112);
        assert_eq!(valid.ca.as_deref(), Some("fixed:out:r"));
        let references: Vec<_> = valid.references.iter().map(ToString::to_string).collect();
        assert_eq!(references, [path('b'), path('c')]);
    }

    #[test]
    fn an_empty_graph_is_a_graph() {
        assert_eq!(Graph::parse("g", &json!([])).unwrap().paths, []);
    }

    #[test]
    fn an_error_names_the_attribute_at_fault() {
        assert_eq!(fault(&json!({})).0, "closure");
        assert_eq!(fault(&json!(["x"])).0, "closure[0]");
        for (key, value) in [
            ("path", json!("/nix/store/x")),
            ("narHash", json!("sha256:x")),
            ("narSize", json!(-1)),
            ("ca", json!(1)),
        ] {
            let mut wrong = item();
            wrong[key] = value;
            assert_eq!(
                fault(&json!([item(), wrong])).0,
                format!("closure[1].{key}")
            );
        }
        let mut wrong = item();
        wrong["references"][1] = json!("/tmp/x");
        let (attribute, why) = fault(&json!([wrong]));
        assert_eq!(attribute, "closure[0].references[1]");
        assert_eq!(why, "\"/tmp/x\" does not lie right below /nix/store");
    }

    #[test]
    fn a_missing_attribute_is_named() {
        let mut wrong = item();
        wrong.as_object_mut().unwrap().remove("narHash");
        let (attribute, why) = fault(&json!([wrong]));
        assert_eq!(attribute, "closure[0]");
        assert_eq!(why, "missing field `narHash`");
    }
}
