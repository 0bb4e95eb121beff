//! The screen in a real pseudo-terminal: whatever ends it, the terminal is as it was.

#![expect(clippy::expect_used, reason = "a helper that cannot go on fails its test")]

mod answers;
#[path = "../support/cargo.rs"]
mod cargo;
mod ending;
#[path = "../support/exporters.rs"]
mod exporters;
mod failed_nic;
#[path = "../support/fault.rs"]
mod fault;
mod fleet;
mod frames;
mod keys;
mod panics;
#[path = "../support/port.rs"]
mod port;
mod recording;
mod session;
#[path = "../support/sources.rs"]
mod sources;
mod suspend;
