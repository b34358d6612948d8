//! A tar archive of any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::archive::archive(bytes));
