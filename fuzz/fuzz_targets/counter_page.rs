//! See `railtop::fuzzing::counter_page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| railtop::fuzzing::counter_page(bytes));
