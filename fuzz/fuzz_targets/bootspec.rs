//! A `boot.json` of any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::boot::bootspec(bytes));
