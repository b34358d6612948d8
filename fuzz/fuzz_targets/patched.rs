//! An image that was right, with changes. `NIX2IMAGE_KEEP` names a file that it is written to.

#![no_main]

use std::env;
use std::fs;

libfuzzer_sys::fuzz_target!(
    // Threads are no help for small images, and hide what was reached.
    init: rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap(),
    |bytes: &[u8]| {
        if let (Some(path), Some(image)) = (env::var_os("NIX2IMAGE_KEEP"), properties::images::apply(bytes)) {
            fs::write(path, image).unwrap();
        }
        properties::images::patched(bytes);
    }
);
