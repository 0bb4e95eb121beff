//! What the sequence lock is made of, from one place: in `models/`, which includes the same file, it is made for a model checker.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};
