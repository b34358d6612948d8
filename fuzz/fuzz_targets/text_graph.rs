//! A graph as text of any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::text_graph(bytes));
