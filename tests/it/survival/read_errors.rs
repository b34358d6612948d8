//! A store of which something cannot be read, as on a bad disk.

use serde_json::json;

use super::served::{LARGE, Operation, ServedStore, named};
use super::{failure, ways};
use crate::support::command::output;
use crate::support::direct::Direct;
use crate::support::env;

/// Each place at which reading may fail, by what is named then.
const PLACES: [(&str, Operation); 8] = [
    ("sub", Operation::List),
    ("sub", Operation::LookUp),
    ("link", Operation::ReadLink),
    ("sub/file", Operation::LookUp),
    ("sub/file", Operation::Open),
    ("sub/file", Operation::ReadBeyond(0)),
    ("large", Operation::ReadBeyond(0)),
    ("large", Operation::ReadBeyond(LARGE as u64 / 2)),
];

#[test]
fn what_cannot_be_read_is_named() {
    let mut attributes: Vec<_> = ways()
        .into_iter()
        .map(|(_, attributes)| attributes)
        .collect();
    if env::is_full() {
        attributes.extend([
            json!({ "deduplicate": true }),
            json!({ "ext4": { "sparse": true } }),
            json!({ "kind": "tar" }),
            json!({ "verify": true, "deduplicate": true, "compression": "zstd" }),
        ]);
    }
    for attributes in attributes {
        for (path, operation) in PLACES {
            let store = ServedStore::new();
            let derivation = Direct::new(attributes.clone(), &[store.info()]);
            store.fail(path, operation);
            let output = output(&mut derivation.builder_with_store(store.root()));
            let path = named(path);
            assert_eq!(
                failure(&derivation, &output, 1),
                format!("cannot read {path}: Input/output error (os error 5)"),
                "{operation:?} with {attributes}"
            );
        }
    }
}

#[test]
fn other_inputs_that_cannot_be_read_are_named() {
    let large = named("large");
    for attributes in [
        json!({ "exports": [large] }),
        json!({ "textGraphs": [large] }),
        json!({ "contents": [{ "source": large, "target": "/", "unpack": true }] }),
        json!({ "contents": [{ "source": large, "target": "/large" }], "ext4": { "sparse": true } }),
    ] {
        let store = ServedStore::new();
        let derivation = Direct::new(attributes.clone(), &[store.info()]);
        store.fail("large", Operation::ReadBeyond(0));
        let output = output(&mut derivation.builder_with_store(store.root()));
        let message = failure(&derivation, &output, 1);
        assert!(
            message.contains(&large) && message.ends_with("Input/output error (os error 5)"),
            "{message} with {attributes}"
        );
    }
}
