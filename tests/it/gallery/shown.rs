//! Attributes as Nix has them, for the document.

use serde_json::Value;

/// The most characters of a string that are shown.
const LONGEST: usize = 72;

/// `value` as a Nix expression on one line; long strings are cut.
pub(super) fn nix(value: &Value) -> String {
    match value {
        Value::Object(attributes) if attributes.is_empty() => "{ }".into(),
        Value::Object(attributes) => {
            let inner: String = attributes
                .iter()
                .map(|(name, value)| binding(&key(name), value))
                .collect();
            format!("{{ {inner}}}")
        }
        Value::Array(items) if items.is_empty() => "[ ]".into(),
        Value::Array(items) => {
            let inner: Vec<_> = items.iter().map(nix).collect();
            format!("[ {} ]", inner.join(" "))
        }
        Value::String(text) => string(text),
        other => other.to_string(),
    }
}

/// `a.b = value; `: of a set with one attribute, its name goes before the sign.
fn binding(path: &str, value: &Value) -> String {
    match value
        .as_object()
        .map(|inner| (inner.len(), inner.iter().next()))
    {
        Some((1, Some((name, value)))) => binding(&format!("{path}.{}", key(name)), value),
        _ => format!("{path} = {}; ", nix(value)),
    }
}

fn key(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-'".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_plain) {
        return name.into();
    }
    string(name)
}

fn string(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST).collect();
    let rest = if cut.len() < text.len() { "…" } else { "" };
    format!("{:?}", format!("{cut}{rest}")).replace("${", "\\${")
}
