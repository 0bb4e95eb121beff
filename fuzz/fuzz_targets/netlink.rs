//! See `railtop::fuzzing::netlink`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| railtop::fuzzing::netlink(bytes));
