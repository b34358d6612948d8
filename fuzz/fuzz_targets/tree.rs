//! A tree of any bytes as an image, which others read.

#![no_main]

use std::env;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

#[path = "../support.rs"]
mod support;
#[path = "../trees.rs"]
mod trees;

/// How many images there are for each that e2fsck looks at; it looks at none if it is not said.
static EVERY: LazyLock<Option<u64>> = LazyLock::new(|| {
    let every = env::var("NIX2IMAGE_E2FSCK_EVERY").ok()?;
    Some(every.parse().expect("NIX2IMAGE_E2FSCK_EVERY is a number"))
});
static IMAGES: AtomicU64 = AtomicU64::new(0);

libfuzzer_sys::fuzz_target!(init: rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap(), |bytes: &[u8]| {
    let number = IMAGES.fetch_add(1, Ordering::Relaxed);
    let is_checked = EVERY.is_some_and(|every| number.is_multiple_of(every));
    trees::tree(bytes, is_checked);
});
