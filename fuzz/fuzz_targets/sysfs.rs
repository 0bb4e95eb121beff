//! See `railtop::fuzzing::sysfs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| railtop::fuzzing::sysfs(bytes));
