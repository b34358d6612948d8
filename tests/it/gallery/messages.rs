//! The messages that the source has, `#[error("…")]`, and whether somebody has seen them.

use std::fs;
use std::path::Path;

use crate::support::env;

/// A message of the source. `{…}` stands for anything.
pub(super) struct Message {
    /// `src/file.rs:line`.
    pub(super) place: String,
    /// As it is written, without line breaks.
    pub(super) text: String,
    /// What stands between its fields.
    parts: Vec<String>,
}

/// All messages of `src`, but those that are another's (`transparent`) or a field alone.
pub(super) fn of_the_source() -> Vec<Message> {
    let mut found = Vec::new();
    walk(&env::checkout().join("src"), "rs", &mut |path| {
        let text = fs::read_to_string(path).unwrap();
        let place = path.strip_prefix(env::checkout()).unwrap();
        found.extend(of_file(&place.display().to_string(), &text));
    });
    found
}

/// Shows all files with this extension below a directory, in order.
pub(super) fn walk(directory: &Path, wanted: &str, visit: &mut impl FnMut(&Path)) {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, wanted, visit);
        } else if path
            .extension()
            .is_some_and(|extension| extension == wanted)
        {
            visit(&path);
        }
    }
}

fn of_file(place: &str, text: &str) -> Vec<Message> {
    const BEGIN: &str = "#[error(";
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let begins = text.match_indices(BEGIN);
    begins
        .filter_map(|(at, _)| {
            let inner = text[at + BEGIN.len()..].trim_start().strip_prefix('"')?;
            let line = text[..at].matches('\n').count() + 1;
            let text = literal(inner);
            let parts = parts(&text);
            let has_words = parts.iter().any(|part| part.contains(char::is_alphabetic));
            has_words.then(|| Message {
                place: format!("{place}:{line}"),
                text,
                parts,
            })
        })
        .collect()
}

/// What a string literal stands for, from behind its first quote.
fn literal(inner: &str) -> String {
    let mut text = String::new();
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        match character {
            '"' => return text,
            '\\' => match rest.next().unwrap() {
                'n' => text.push('\n'),
                '\n' => rest = rest.as_str().trim_start().chars(),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
    panic!("a string without an end: {inner}")
}

/// What follows the brace that ends a field of a string of Nix.
fn behind_field(field: &str) -> &str {
    let mut depth = 1;
    for (at, character) in field.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return &field[at + 1..],
            '}' => depth -= 1,
            _ => {}
        }
    }
    panic!("a field without an end: {field}")
}

/// What stands before, between and behind the fields of a format.
fn parts(format: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = format.chars().peekable();
    while let Some(character) = rest.next() {
        let last = parts.last_mut().unwrap();
        match character {
            '{' if rest.next_if_eq(&'{').is_some() => last.push('{'),
            '}' if rest.next_if_eq(&'}').is_some() => last.push('}'),
            '{' => {
                rest.by_ref().find(|character| *character == '}').unwrap();
                parts.push(String::new());
            }
            other => last.push(other),
        }
    }
    parts
}

impl Message {
    /// A string of Nix, from behind its first quote. A message that is a field alone is none.
    pub(super) fn of_nix(place: String, inner: &str) -> Option<Self> {
        let mut parts = vec![String::new()];
        let mut rest = inner;
        while !rest.starts_with('"') {
            let last = parts.last_mut().unwrap();
            if let Some(field) = rest.strip_prefix("${") {
                rest = behind_field(field);
                parts.push(String::new());
                continue;
            }
            rest = rest.strip_prefix('\\').unwrap_or(rest);
            let character = rest.chars().next().unwrap();
            last.push(character);
            rest = &rest[character.len_utf8()..];
        }
        let has_words = parts.iter().any(|part| part.contains(char::is_alphabetic));
        let text = parts.join("{}");
        has_words.then_some(Self { place, text, parts })
    }

    /// Whether `line`, an error and its causes between colons, has this message in it. What
    /// `verify` finds stands behind a `but`.
    pub(super) fn is_in(&self, line: &str) -> bool {
        let breaks = [": ", ", but "].into_iter().flat_map(|between| {
            let found = line.match_indices(between);
            found.map(move |(at, _)| (at, at + between.len()))
        });
        let mut breaks: Vec<_> = breaks.collect();
        breaks.sort_unstable();
        let begins = [0]
            .into_iter()
            .chain(breaks.iter().map(|(_, begin)| *begin));
        let ends: Vec<_> = breaks
            .iter()
            .map(|(end, _)| *end)
            .chain([line.len()])
            .collect();
        begins.into_iter().any(|begin| {
            let mut ends = ends.iter().filter(|end| **end >= begin);
            ends.any(|end| self.is(&line[begin..*end]))
        })
    }

    /// Whether `text` is this message with something in its fields.
    fn is(&self, text: &str) -> bool {
        let (first, others) = self.parts.split_first().unwrap();
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some((last, between)) = others.split_last() else {
            return rest.is_empty();
        };
        for part in between {
            match rest.split_once(part.as_str()) {
                Some((_, behind)) => rest = behind,
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

#[test]
fn a_message_is_found_among_its_causes_and_not_in_parts() {
    let text = "#[error(\n    \"cannot {action} {{x}} \\\"{}\\\", \\\n  now\", path)]\nenum";
    let [message] = &of_file("file", text)[..] else {
        panic!()
    };
    assert_eq!(message.place, "file:1");
    assert_eq!(message.text, "cannot {action} {{x}} \"{}\", now");
    for (line, is_in) in [
        ("cannot read {x} \"a: b\", now", true),
        ("a: cannot read {x} \"a\", now: why", true),
        ("it cannot read {x} \"a\", now", false),
        ("cannot read {x} \"a\", now or never", false),
        ("cannot read x \"a\", now", false),
    ] {
        assert_eq!(message.is_in(line), is_in, "{line}");
    }
    assert!(of_file("file", "#[error(transparent)]").is_empty());
    assert!(of_file("file", "#[error(\"{message}\")]").is_empty());
}
