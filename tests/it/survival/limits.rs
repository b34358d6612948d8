//! Limits of a process: memory, descriptors, threads.

use std::os::unix::process::ExitStatusExt as _;
use std::slice::from_ref;

use serde_json::json;

use super::{failure, image, known, outputs, some_store, stderr};
use crate::support::command::output;
use crate::support::direct::{Direct, FakeStore};
use crate::support::env;

/// What a message says of memory, whoever found it short: we, Rust, zstd, the dynamic linker.
const SHORT_OF_MEMORY: [&str; 6] = [
    "cannot start threads, each with 16 MiB of address space",
    "memory allocation of ",
    "not enough memory",
    "out of memory",
    "Cannot allocate memory",
    "failed to map segment from shared object",
];

#[test]
fn a_limit_of_address_space_allows_an_image_or_is_named() {
    let steps = if env::is_full() { 8 } else { 1 };
    // From 4 MiB to 4 GiB.
    let limits: Vec<u64> = (0..=10)
        .flat_map(|doubled| {
            (0..steps).map(move |step| ((4 << 20 << doubled) * (steps + step)) / steps)
        })
        .collect();
    let store = some_store();
    let known = known(&store);
    for attributes in [
        json!({}),
        json!({ "compression": "zstd", "selfCheck": true }),
    ] {
        let attributes = || {
            let mut attributes = attributes.clone();
            attributes["onlyStore"] = json!(true);
            attributes
        };
        let whole = Direct::new(attributes(), from_ref(&known));
        let made = output(&mut whole.builder_with_store(store.store()));
        let expected = image(&whole, &made);
        let mut made = 0;
        for limit in &limits {
            let limit = format!("--as={limit}");
            let derivation = Direct::new(attributes(), from_ref(&known));
            let before = ["prlimit", &limit];
            let output = output(&mut derivation.builder_in_mount_namespace(store.store(), &before));
            if output.status.success() {
                assert!(image(&derivation, &output) == expected, "{limit}");
                made += 1;
                continue;
            }
            assert!(derivation.left_nothing(), "{limit}");
            let stderr = stderr(&output);
            // The kernel may end a program that it cannot load.
            let was_loaded = !(stderr.is_empty() && output.status.signal().is_some());
            assert!(
                !was_loaded || SHORT_OF_MEMORY.iter().any(|said| stderr.contains(said)),
                "{limit}: {}: {stderr}",
                output.status
            );
        }
        assert!(
            (1..limits.len()).contains(&made),
            "{made} limits are enough"
        );
    }
}

#[test]
fn few_descriptors_are_enough() {
    let store = some_store();
    let build = |threads: &str, before: &[&str]| {
        let derivation = Direct::new(json!({}), &[FakeStore::info()]);
        let mut builder = derivation.builder_in_mount_namespace(store.store(), before);
        let output = output(builder.env("NIX_BUILD_CORES", threads));
        image(&derivation, &output)
    };
    let expected = build("2", &[]);
    for (threads, limit) in [
        // Too few for the directories that a thread keeps open.
        ("1", "--nofile=8"),
        ("2", "--nofile=16"),
        ("2", "--nofile=64"),
        ("12", "--nofile=64"),
    ] {
        assert!(
            build(threads, &["prlimit", limit]) == expected,
            "{threads} {limit}"
        );
    }
}

#[test]
fn few_descriptors_are_enough_for_whatever_is_asked() {
    let store = some_store();
    let known = known(&store);
    for attributes in [
        json!({ "verify": true }),
        json!({ "compression": "zstd", "selfCheck": true, "onlyStore": true }),
        json!({ "deduplicate": true, "ext4": { "sparse": true } }),
        json!({ "output": "directory", "report": true }),
        json!({ "container": "qcow2-compressed", "root": {} }),
    ] {
        let build = |before: &[&str]| {
            let derivation = Direct::new(attributes.clone(), from_ref(&known));
            let mut builder = derivation.builder_in_mount_namespace(store.store(), before);
            let output = output(builder.env("NIX_BUILD_CORES", "2"));
            assert!(output.status.success(), "{attributes}: {}", stderr(&output));
            outputs(&derivation)
        };
        let expected = build(&[]);
        assert!(
            build(&["prlimit", "--nofile=64"]) == expected,
            "{attributes}"
        );
    }
}

#[test]
fn too_few_descriptors_are_named() {
    let store = some_store();
    let mut refused = 0;
    for limit in 4..9 {
        let derivation = Direct::new(json!({}), &[FakeStore::info()]);
        let limit = format!("--nofile={limit}");
        let before = ["prlimit", &limit];
        let output = output(&mut derivation.builder_in_mount_namespace(store.store(), &before));
        if !output.status.success() {
            assert!(derivation.left_nothing());
            let stderr = stderr(&output);
            let is_named = stderr.contains("nix2image: error: ");
            assert!(
                stderr.contains("Too many open files") && is_named
                    || stderr.contains("shared libraries"),
                "{limit}: {stderr}"
            );
            refused += usize::from(is_named);
        }
    }
    assert!(refused > 0, "all limits are enough, or not enough to start");
}

#[test]
fn threads_that_cannot_be_started_are_named() {
    let store = some_store();
    let derivation = Direct::new(json!({}), &[FakeStore::info()]);
    let before = ["prlimit", "--as=1073741824"];
    let mut builder = derivation.builder_in_mount_namespace(store.store(), &before);
    let output = output(builder.env("NIX_BUILD_CORES", "500"));
    let message = failure(&derivation, &output, 1);
    assert_eq!(
        message,
        "cannot start threads, each with 16 MiB of address space for its stack; allow more memory (`ulimit -v`) or processes (`ulimit -u`), or set NIX_BUILD_CORES to fewer: Resource temporarily unavailable (os error 11)"
    );
}
