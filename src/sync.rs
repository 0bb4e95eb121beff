//! What the lock-free files are made of: atomics, fences, locks, and two ways to sleep.
//!
//! Such a file takes from here and from nowhere else, so that the very same file can be included in `models/`, whose
//! `sync` has the same items made for a model checker.

/// A word that belongs to one thread at a time, and something else says to which: in `models/` a race for it is an error.
pub(crate) use std::sync::atomic::AtomicU64 as OwnedWord;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
pub(crate) use std::thread::{Thread, current as current_thread, park_timeout};

pub(crate) use crate::futex;
