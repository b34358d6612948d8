//! A gallery of the errors that a user can cause: what was done, and what is said. Each case runs
//! the program; what it says is `docs/errors.md`, which is written anew with `NIX2IMAGE_BLESS=1`.

mod attributes;
mod boot;
mod caches;
mod closures;
mod commands;
mod contents;
mod disks;
mod document;
mod host;
mod images;
mod messages;
mod nix_functions;
mod shown;
mod stage;
mod tars;
mod unseen;
mod verifying;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::LazyLock;

use rayon::prelude::*;
use serde_json::Value;

use crate::support::env;
use stage::{Said, Stage};

/// Cases of one kind.
struct Subject {
    title: &'static str,
    /// A line for the document, or nothing.
    about: &'static str,
    cases: Vec<Case>,
}

/// Something that a user does, and the program does not take.
struct Case {
    /// In words, for the document.
    did: &'static str,
    command: Box<dyn Fn(&Stage) -> Command + Send + Sync>,
}

impl Subject {
    fn new(title: &'static str, about: &'static str) -> Self {
        let cases = Vec::new();
        Self {
            title,
            about,
            cases,
        }
    }

    /// What `command` prepares and starts.
    fn case(
        mut self,
        did: &'static str,
        command: impl Fn(&Stage) -> Command + Send + Sync + 'static,
    ) -> Self {
        self.cases.push(Case {
            did,
            command: Box::new(command),
        });
        self
    }

    /// Images with these attributes, on a host without anything.
    fn images(self, images: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        images.into_iter().fold(self, |subject, (did, image)| {
            subject.case(did, move |stage| stage.image(image.clone()))
        })
    }

    /// Commands with these arguments, on a host without anything.
    fn commands(self, lines: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        lines.into_iter().fold(self, |subject, (did, line)| {
            subject.case(did, move |stage| stage.run(line))
        })
    }
}

/// A subject and what was said, case by case.
struct Heard {
    title: &'static str,
    about: &'static str,
    cases: Vec<(&'static str, Said)>,
}

/// All that was said, in the order of the document. Every test that asks gets the same.
static HEARD: LazyLock<Vec<Heard>> = LazyLock::new(|| {
    let subjects: Vec<Subject> = [
        attributes::subjects(),
        closures::subjects(),
        caches::subjects(),
        contents::subjects(),
        tars::subjects(),
        boot::subjects(),
        disks::subjects(),
        images::subjects(),
        verifying::subjects(),
        commands::subjects(),
        host::subjects(),
    ]
    .into_iter()
    .flatten()
    .collect();
    // All that fail are named, and not the first alone.
    let listen = |case: &Case| {
        let said = catch_unwind(AssertUnwindSafe(|| {
            let stage = Stage::new();
            let command = (case.command)(&stage);
            stage.say(command)
        }));
        said.map(|said| (case.did, said)).map_err(|_| case.did)
    };
    let heard: Vec<_> = subjects
        .par_iter()
        .map(|subject| {
            let listened: Vec<Result<_, _>> = subject.cases.par_iter().map(listen).collect();
            let (cases, failed): (Vec<_>, Vec<_>) = listened.into_iter().partition(Result::is_ok);
            let heard = Heard {
                title: subject.title,
                about: subject.about,
                cases: cases.into_iter().flatten().collect(),
            };
            let failed: Vec<_> = failed.into_iter().filter_map(Result::err).collect();
            (heard, failed)
        })
        .collect();
    let failed: Vec<_> = heard.iter().flat_map(|(_, failed)| failed).collect();
    assert!(
        failed.is_empty(),
        "cases that do not fail as they should: {failed:#?}"
    );
    heard.into_iter().map(|(heard, _)| heard).collect()
});

#[test]
fn every_error_says_what_the_gallery_shows() {
    let path = env::checkout().join("docs/errors.md");
    let now = document::render(&HEARD, &nix_functions::refused());
    if std::env::var_os("NIX2IMAGE_BLESS").is_some() {
        return fs::write(path, now).unwrap();
    }
    let before = fs::read_to_string(&path).unwrap();
    if let Some((before, now)) = document::difference(&before, &now) {
        panic!(
            "docs/errors.md says\n{before}\nand now there is\n{now}\nif that is right, \
             NIX2IMAGE_BLESS=1 writes it"
        );
    }
}

#[test]
fn every_message_of_the_source_is_in_the_gallery_or_cannot_be_seen() {
    let said: Vec<&str> = HEARD
        .iter()
        .flat_map(|heard| &heard.cases)
        .flat_map(|(_, said)| said.message.lines())
        .collect();
    let unseen = unseen::messages();
    let mut faults = Vec::new();
    let mut missing = 0;
    let messages = messages::of_the_source();
    for message in &messages {
        let seen = said.iter().find(|line| message.is_in(line));
        let is_excused = unseen.contains(&message.text.as_str());
        match seen {
            None if !is_excused => {
                missing += 1;
                faults.push(format!("no case has {}: {:?}", message.place, message.text));
            }
            Some(line) if is_excused => faults.push(format!(
                "unseen.rs has {:?}, which is seen: {line}",
                message.text
            )),
            _ => {}
        }
    }
    for text in unseen {
        if !messages.iter().any(|message| message.text == *text) {
            faults.push(format!("unseen.rs has {text:?}, which nothing says"));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {} messages are in no case:\n{}",
        missing,
        messages.len(),
        faults.join("\n")
    );
}

#[test]
fn every_refusal_of_a_nix_function_is_in_the_gallery() {
    let refused = nix_functions::refused();
    let faults: Vec<_> = nix_functions::throws()
        .into_iter()
        .filter(|throw| !refused.iter().any(|(_, message)| throw.is_in(message)))
        .map(|throw| format!("{}: {}", throw.place, throw.text))
        .collect();
    assert!(
        faults.is_empty(),
        "no file of tests/nix/refused has\n{}",
        faults.join("\n")
    );
}
