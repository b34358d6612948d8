//! A document, as its reader sees it: blocks, headings, links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::support::env;
use crate::support::offered::tracked_files;

/// A document of the repository.
#[derive(Default)]
pub(super) struct Document {
    /// Its path in the repository.
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
    /// What a link may have behind `#`.
    pub(super) anchors: BTreeSet<String>,
    pub(super) links: Vec<Link>,
}

/// A block of code.
pub(super) struct Block {
    /// The line in which it begins, from 1.
    pub(super) line: usize,
    /// What stands behind the fence; nothing if the block is only indented.
    pub(super) language: String,
    pub(super) text: String,
}

pub(super) struct Link {
    pub(super) line: usize,
    pub(super) target: String,
}

/// What text belongs to.
enum Within {
    Prose,
    Heading(String),
    Block(Block),
}

impl Document {
    /// Reads the document of this name.
    #[track_caller]
    pub(super) fn read(name: &str) -> Self {
        let text = fs::read_to_string(env::checkout().join(name)).unwrap();
        let mut document = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let mut within = Within::Prose;
        let mut headings = BTreeMap::new();
        for (event, range) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
            let line = 1 + text[..range.start].matches('\n').count();
            match (event, &mut within) {
                (Event::Start(Tag::CodeBlock(kind)), _) => {
                    within = Within::Block(Block {
                        line,
                        language: match kind {
                            CodeBlockKind::Fenced(language) => language.to_string(),
                            CodeBlockKind::Indented => String::new(),
                        },
                        text: String::new(),
                    });
                }
                (Event::Start(Tag::Heading { .. }), _) => within = Within::Heading(String::new()),
                (Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }), _) => {
                    let target = dest_url.to_string();
                    document.links.push(Link { line, target });
                }
                (Event::Text(more) | Event::Code(more), Within::Heading(text)) => {
                    text.push_str(&more);
                }
                (Event::Text(more), Within::Block(block)) => block.text.push_str(&more),
                (Event::End(TagEnd::Heading(_) | TagEnd::CodeBlock), _) => {
                    match std::mem::replace(&mut within, Within::Prose) {
                        Within::Prose => {}
                        Within::Heading(text) => {
                            document.anchors.insert(anchor(&text, &mut headings));
                        }
                        Within::Block(block) => document.blocks.push(block),
                    }
                }
                _ => {}
            }
        }
        document
    }

    /// All documents of the repository.
    #[track_caller]
    pub(super) fn all() -> Vec<Self> {
        let names = tracked_files();
        let is_document =
            |name: &&String| name.rsplit_once('.').is_some_and(|(_, end)| end == "md");
        names
            .iter()
            .filter(is_document)
            .map(|name| Self::read(name))
            .collect()
    }

    /// Those that a user reads, and takes commands and expressions from.
    #[track_caller]
    pub(super) fn of_users() -> Vec<Self> {
        let mut documents = Self::all();
        documents.retain(|document| {
            let (directory, _) = document.name.rsplit_once('/').unwrap_or_default();
            matches!(directory, "" | "docs" | "examples")
        });
        documents
    }
}

/// What a heading is called in links, as GitHub and others have it: in lower case, with hyphens for
/// spaces, without other punctuation; one that was there already gets a number.
fn anchor(heading: &str, earlier: &mut BTreeMap<String, usize>) -> String {
    let name: String = heading
        .to_lowercase()
        .chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ => character.is_alphanumeric().then_some(character),
        })
        .collect();
    let count = earlier.entry(name.clone()).or_default();
    *count += 1;
    match *count {
        1 => name,
        count => format!("{name}-{}", count - 1),
    }
}
