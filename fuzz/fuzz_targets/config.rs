//! See `railtop::fuzzing::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| railtop::fuzzing::config(bytes));
