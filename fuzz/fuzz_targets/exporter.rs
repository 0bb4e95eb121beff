//! See `railtop::fuzzing::exporter`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| railtop::fuzzing::exporter(bytes));
