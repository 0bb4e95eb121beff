//! The screen in a real pseudo-terminal: whatever ends it, the terminal is as it was.

#![expect(clippy::expect_used, reason = "a helper that cannot go on fails its test")]

mod answers;
mod ending;
mod frames;
mod keys;
mod recording;
mod session;
mod suspend;
