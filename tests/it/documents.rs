//! What the documents show is done: commands are typed, expressions are built, links lead
//! somewhere. A block that is not done stands in [`NOT_DONE`], with the reason.

mod expressions;
mod links;
mod markdown;
mod migration;
mod offers;
mod sessions;

use expressions::{EXPRESSIONS, FLAKES};
use markdown::{Block, Document};
use sessions::SESSIONS;

/// Blocks of programs that are not done here: document, how the block begins, and why not.
const NOT_DONE: &[(&str, &str, &str)] = &[
    (
        "README.md",
        "# cargo xtask demo",
        "it is what runs these tests",
    ),
    (
        "docs/attributes.md",
        "derivation {",
        "tests/it/nix_reproducible.rs builds it, and compares",
    ),
    (
        "docs/image-format.md",
        "$ mke2fs -q -F -t ext4 -b 4096 -O",
        "tests/it/mke2fs.rs compares so",
    ),
    (
        "docs/migration.md",
        "-nixos-prepare-root",
        "tests/it/prepare_root.rs runs both forms",
    ),
    (
        "docs/migration.md",
        "-nixos-install",
        "tests/it/install.rs installs, from a store that has such a system",
    ),
    (
        "docs/performance.md",
        "cargo xtask bench --report",
        "it takes most of an hour of a calm machine",
    ),
];

/// The languages of programs. What is in another is to be read.
const PROGRAMS: [&str; 4] = ["bash", "console", "diff", "nix"];

/// Those to be read; JSON is an input too, which src/spec/tests.rs parses.
const TEXTS: [&str; 3] = ["", "json", "text"];

impl Block {
    /// The name of the file that the block is, which its first line says.
    fn file_name(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        (self.language == "nix" && name.rsplit('.').next() == Some("nix") && !name.contains(' '))
            .then_some(name)
    }

    /// Whether it is the one of this document that begins so.
    fn is(&self, document: &Document, (name, start): (&str, &str)) -> bool {
        document.name == name && self.text.starts_with(start)
    }

    fn is_not_done(&self, document: &Document) -> bool {
        NOT_DONE
            .iter()
            .any(|(name, start, _why)| self.is(document, (name, start)))
    }

    /// How often it is done or excused.
    fn claims(&self, document: &Document) -> usize {
        let by_name = entries().filter(|entry| self.is(document, *entry)).count();
        let is_typed =
            matches!(self.language.as_str(), "bash" | "console") || self.file_name().is_some();
        let is_done = is_typed && !self.is_not_done(document);
        let sessions = SESSIONS
            .iter()
            .filter(|session| is_done && session.document == document.name);
        by_name + sessions.count()
    }
}

/// All blocks that are named: their documents, and how they begin.
fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
    let not_done = NOT_DONE.iter().map(|(name, start, _why)| (*name, *start));
    let flakes = FLAKES
        .iter()
        .map(|(name, start, _attribute)| (*name, *start));
    let expressions = EXPRESSIONS
        .iter()
        .map(|(name, start, _within)| (*name, *start));
    not_done.chain(flakes).chain(expressions)
}

#[test]
fn every_block_is_done_or_says_why_not() {
    let mut wrong = Vec::new();
    for document in Document::of_users() {
        for block in &document.blocks {
            let language = block.language.as_str();
            let place = format!("{}:{}: {language}", document.name, block.line);
            if TEXTS.contains(&language) {
                continue;
            }
            if !PROGRAMS.contains(&language) {
                wrong.push(format!(
                    "{place}: say what it is: {PROGRAMS:?} or {TEXTS:?}"
                ));
                continue;
            }
            match block.claims(&document) {
                1 => {}
                0 => wrong.push(format!(
                    "{place}: done by nobody: see tests/it/documents.rs"
                )),
                count => wrong.push(format!("{place}: claimed {count} times")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_entry_is_of_a_block_that_is_there() {
    let documents = Document::of_users();
    let count = |entry| {
        let blocks = |document| -> usize {
            let document: &Document = document;
            let blocks = document.blocks.iter();
            blocks.filter(|block| block.is(document, entry)).count()
        };
        documents.iter().map(blocks).sum::<usize>()
    };
    for entry in entries() {
        assert_eq!(count(entry), 1, "{entry:?}");
    }
}
