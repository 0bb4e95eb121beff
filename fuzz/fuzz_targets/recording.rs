//! See `railtop::fuzzing::recording`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| railtop::fuzzing::recording(bytes));
