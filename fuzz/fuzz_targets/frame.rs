//! See `railtop::fuzzing::frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| railtop::fuzzing::frame(bytes));
