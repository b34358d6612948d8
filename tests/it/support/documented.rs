//! JSON for programs: a document names each field that there is.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::env;

/// Fails unless the code in `document` names all fields of `json`. Objects whose keys are data
/// are none of it: those of names of the image are lists.
#[track_caller]
pub(crate) fn names_all_fields(document: &str, json: &Value) {
    let text = fs::read_to_string(env::checkout().join(document)).unwrap();
    let code = text.split('`').skip(1).step_by(2);
    let is_apart = |character: char| !character.is_alphanumeric();
    let named: BTreeSet<&str> = code.flat_map(|code| code.split(is_apart)).collect();
    let mut fields = BTreeSet::new();
    collect(json, &mut fields);
    let missing: Vec<_> = fields
        .into_iter()
        .filter(|field| !named.contains(field))
        .collect();
    assert!(missing.is_empty(), "{document} lacks {missing:?}");
}

fn collect<'a>(json: &'a Value, fields: &mut BTreeSet<&'a str>) {
    match json {
        Value::Object(object) => {
            for (name, value) in object {
                fields.insert(name);
                collect(value, fields);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, fields)),
        _ => {}
    }
}
