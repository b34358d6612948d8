//! A registration of any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::records::registered(bytes));
