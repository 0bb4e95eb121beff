//! The program end to end: the real binary in labs of its own, judged by what it prints and how it ends.
//!
//! A test that needs namespaces or libfabric says `skipped` where there are none. What is asserted are data, counts,
//! balance and ratios within one run: never how fast this machine is.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod bench;
mod demo;
mod deploy;
mod failover;
mod hang;
#[path = "../support/http.rs"]
mod http;
mod kill;
mod missing;
mod moe;
#[path = "../support/port.rs"]
mod port;
mod prometheus;
mod rendezvous;
mod support;
mod watch;
