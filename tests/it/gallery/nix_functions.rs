//! What the Nix functions refuse: the cases of `tests/nix/refused`, which
//! `tests/it/nix_functions.rs` evaluates.

use std::fs;
use std::path::PathBuf;

use super::messages::Message;
use crate::support::env;

/// Each case: its name in words, and its message. Those in which Nix itself speaks are left out.
pub(super) fn refused() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(env::checkout().join("tests/nix/refused"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let message = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let message = text.lines().next()?.strip_prefix("# error: nix2image: ")?;
        let name = file.file_stem()?.to_str()?.replace('-', " ");
        let function = message.split([':', '[', ' ']).next()?;
        Some((format!("`{function}`: {name}"), message.to_owned()))
    };
    files.into_iter().filter_map(message).collect()
}

/// All messages that stand behind a `throw` of the functions. `nix/checks.nix` is a test.
pub(super) fn throws() -> Vec<Message> {
    let mut found = Vec::new();
    super::messages::walk(&env::checkout().join("nix"), "nix", &mut |path| {
        let text = fs::read_to_string(path).unwrap();
        let place = path.strip_prefix(env::checkout()).unwrap();
        if place.ends_with("checks.nix") {
            return;
        }
        for (at, begin) in text.match_indices("throw \"nix2image: ") {
            let line = text[..at].matches('\n').count() + 1;
            let place = format!("{}:{line}", place.display());
            found.extend(Message::of_nix(place, &text[at + begin.len()..]));
        }
    });
    found
}
