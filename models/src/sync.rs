//! The items of railtop's own `sync`, made for a model checker.
//!
//! Sleeping knows no time here: who is not woken sleeps for ever, and loom reports that nobody can go on. In railtop every sleep has
//! a limit, so that what is an error here costs time there.

mod fence;
pub mod futex;
mod owned;
mod park;

pub use fence::fence;
pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub use loom::sync::{Arc, Mutex, MutexGuard};
pub use owned::OwnedWord;
pub use park::{Thread, current_thread, park_timeout};
/// Nobody waits for it, so it can be the standard library's: to loom setting it is one step.
pub use std::sync::OnceLock;
