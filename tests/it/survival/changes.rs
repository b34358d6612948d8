//! A store path that somebody changes while the builder works.

use std::os::unix::process::ExitStatusExt as _;
use std::slice::from_ref;

use serde_json::{Value, json};

use super::served::{LARGE, Moment, Node, ServedStore, listed, named, read};
use super::{failure, image, stderr, ways};
use crate::support::command::output;
use crate::support::direct::Direct;
use crate::support::sample::noise;

const AGAIN: &str = "; build again when nothing writes to it";

/// The message when `path` becomes `node` at the `moment`.
#[track_caller]
fn message(attributes: Value, moment: Moment, path: &str, node: Option<Node>) -> String {
    let store = ServedStore::new();
    let derivation = Direct::new(attributes, &[store.info()]);
    store.change(moment, path, node);
    // With one thread nothing is opened before the change has come. Who waits is ended.
    let mut builder =
        derivation.builder_in_mount_namespace(store.root(), &["timeout", "--signal=KILL", "60"]);
    let output = output(builder.env("NIX_BUILD_CORES", "1"));
    assert_eq!(output.status.signal(), None, "{}", stderr(&output));
    assert!(store.has_changed());
    assert!(!store.was_outside_seen());
    failure(&derivation, &output, 1)
}

fn is_now(path: &str, was: &str, is: &str) -> String {
    let path = named(path);
    format!(
        "{path} changed while the image was built: it was {was} when it was scanned and is {is} now{AGAIN}"
    )
}

#[test]
fn a_file_that_has_another_size_when_it_is_copied_is_named() {
    for (_, attributes) in ways() {
        for (content, has) in [("short", 5), ("", 0), ("a longer content", 16)] {
            let node = Node::File(content.into());
            let message = message(attributes.clone(), Moment::Opened, "sub/file", Some(node));
            let path = named("sub/file");
            assert_eq!(
                message,
                format!(
                    "{path} changed while the image was built: it had 7 bytes when it was scanned and has {has} now{AGAIN}"
                )
            );
        }
    }
}

#[test]
fn a_large_file_that_has_another_size_after_a_part_is_named() {
    for (_, attributes) in ways() {
        for has in [LARGE / 2 + 1, LARGE + 1] {
            let node = Some(Node::File(noise(has, 1)));
            let message = message(attributes.clone(), read("large"), "large", node);
            let path = named("large");
            assert_eq!(
                message,
                format!(
                    "{path} changed while the image was built: it had {LARGE} bytes when it was scanned and has {has} now{AGAIN}"
                )
            );
        }
    }
}

#[test]
fn a_file_that_is_no_file_when_it_is_copied_is_named() {
    for (_, attributes) in ways() {
        for (node, is) in [
            (None, "gone"),
            (Some(Node::Directory), "a directory"),
            (Some(Node::Fifo), "a FIFO"),
            (Some(Node::Device), "a character device"),
            (Some(Node::Symlink("other")), "a symlink"),
            (Some(Node::Symlink("../../outside/file")), "a symlink"),
        ] {
            let message = message(attributes.clone(), Moment::Opened, "sub/file", node);
            assert_eq!(message, is_now("sub/file", "a file", is));
        }
    }
}

#[test]
fn a_directory_that_becomes_a_symlink_is_not_followed() {
    for (_, attributes) in ways() {
        for (moment, target) in [
            (listed(""), "../outside"),
            (Moment::Opened, "../outside"),
            (Moment::Opened, "."),
        ] {
            let node = Some(Node::Symlink(target));
            let message = message(attributes.clone(), moment, "sub", node);
            assert_eq!(message, is_now("sub", "a directory", "a symlink"));
        }
    }
}

#[test]
fn a_store_path_that_becomes_a_symlink_is_not_followed() {
    for moment in [listed(""), Moment::Opened] {
        let node = Some(Node::Symlink("outside"));
        let message = message(json!({}), moment, "", node);
        assert_eq!(message, is_now("", "a directory", "a symlink"));
    }
}

#[test]
fn a_directory_that_is_gone_or_a_file_is_named() {
    for moment in [listed(""), Moment::Opened] {
        for (node, is) in [(None, "gone"), (Some(Node::File(Vec::new())), "a file")] {
            let message = message(json!({}), moment.clone(), "sub", node);
            assert_eq!(message, is_now("sub", "a directory", is));
        }
    }
}

#[test]
fn what_changes_its_type_during_the_scan_is_what_it_is_then_or_named() {
    let path = named("sub/file");
    let message = message(json!({}), listed("sub"), "sub/file", Some(Node::Fifo));
    assert_eq!(
        message,
        format!(
            "{path} is a FIFO, which a NAR cannot hold; remove it in the derivation that makes it"
        )
    );
    let message = self::message(
        json!({}),
        listed(""),
        "link",
        Some(Node::File("a file".into())),
    );
    assert_eq!(message, is_now("link", "a symlink", "a file"));
}

#[test]
fn another_content_of_the_same_size_is_found_by_who_verifies() {
    let store = ServedStore::new();
    let info = store.info();
    for deduplicate in [false, true] {
        let attributes = json!({ "verify": true, "deduplicate": deduplicate });
        let derivation = Direct::new(attributes, from_ref(&info));
        let output = output(&mut derivation.builder_with_store(store.root()));
        image(&derivation, &output);
    }
    let attributes = json!({ "verify": true });
    let path = named("");
    let begin = format!("{path} in the store of this host has the NAR hash ");
    let message = message(
        attributes,
        Moment::Opened,
        "sub/file",
        Some(Node::File("CONTENT".into())),
    );
    assert!(message.starts_with(&begin), "{message}");
    assert!(
        message.contains("but the graph \"closure\" says sha256:"),
        "{message}"
    );
}
