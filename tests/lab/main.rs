//! The lab from outside: what its PEs see, how it ends, and that its NICs are what they claim to be.
//!
//! The tests build real namespaces, as root or in a user namespace; where neither is allowed they say
//! `skipped` and return.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod ending;
mod nics;
mod ranks;
mod role;
mod support;
