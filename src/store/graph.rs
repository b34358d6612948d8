//! Graphs, as `exportReferencesGraph` gives them under structured attributes.

use serde_json::Value;

use super::ValidPath;

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
pub enum GraphError {}

impl Graph {
    /// Reads the attribute `name`, whose value is `value`.
    pub fn parse(_name: &str, _value: &Value) -> Result<Self, GraphError> {
        todo!()
    }
}
