//! `boot.img` and `core.img` of any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(init: rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap(), |bytes: &[u8]| properties::boot::grub(bytes));
