//! See `railtop::fuzzing::report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| railtop::fuzzing::report(bytes));
