//! Links between documents.

use std::collections::{BTreeMap, BTreeSet};

use super::markdown::Document;
use crate::support::env;

/// What is wrong with the links of a document; `anchors` are those of all documents.
fn broken(document: &Document, anchors: &BTreeMap<&str, &BTreeSet<String>>) -> Vec<String> {
    let is_elsewhere = |target: &str| target.contains("://") || target.starts_with("mailto:");
    let mut broken = Vec::new();
    for link in &document.links {
        if is_elsewhere(&link.target) {
            continue;
        }
        let (path, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
        let path = match path {
            "" => document.name.clone(),
            path => beside(&document.name, path),
        };
        let is_heading = |anchor| {
            let all = anchors.get(path.as_str());
            all.is_some_and(|all: &&BTreeSet<String>| all.contains(anchor))
        };
        let what = if !env::checkout().join(&path).exists() {
            "there is no such file"
        } else if !anchor.is_empty() && !is_heading(anchor) {
            "it has no such heading"
        } else {
            continue;
        };
        broken.push(format!(
            "{}:{}: {}: {what}",
            document.name, link.line, link.target
        ));
    }
    broken
}

/// The path in the repository of what `document` calls `path`.
fn beside(document: &str, path: &str) -> String {
    let (directory, _) = document.rsplit_once('/').unwrap_or_default();
    let mut names: Vec<&str> = directory
        .split('/')
        .filter(|name| !name.is_empty())
        .collect();
    for name in path.split('/') {
        match name {
            "." | "" => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names.join("/")
}

#[test]
fn every_link_leads_to_something() {
    let documents = Document::all();
    let anchors = documents
        .iter()
        .map(|document| (document.name.as_str(), &document.anchors))
        .collect();
    let broken: Vec<String> = documents
        .iter()
        .flat_map(|document| broken(document, &anchors))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_document_can_be_reached_from_the_readme() {
    let documents = Document::all();
    let mut reached = BTreeSet::from(["README.md".to_owned()]);
    let mut waiting = vec!["README.md".to_owned()];
    while let Some(name) = waiting.pop() {
        let links = documents.iter().filter(|document| document.name == name);
        for link in links.flat_map(|document| &document.links) {
            let (path, _anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
            let path = beside(&name, path);
            if reached.insert(path.clone()) {
                waiting.push(path);
            }
        }
    }
    let alone: Vec<&str> = documents
        .iter()
        .map(|document| document.name.as_str())
        .filter(|name| !reached.contains(*name))
        .collect();
    assert!(alone.is_empty(), "{alone:?}");
}
