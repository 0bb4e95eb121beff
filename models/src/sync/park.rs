//! Parking, as the documentation of `std::thread::park` has it: a token per thread.
//!
//! loom has its own, whose order with `unpark` is nothing that it explores. Of a lock and a condition it is.

use std::time::Duration;

use loom::sync::{Arc, Condvar, Mutex};

/// A thread that can be woken.
#[derive(Debug, Clone)]
pub struct Thread(Arc<Token>);

#[derive(Debug)]
struct Token {
    there: Mutex<bool>,
    given: Condvar,
}

loom::thread_local! {
    static CURRENT: Thread =
        Thread(Arc::new(Token { there: Mutex::new(false), given: Condvar::new() }));
}

impl Thread {
    /// Gives the thread its token.
    #[expect(clippy::unwrap_used, reason = "a model that panics has failed already")]
    pub fn unpark(&self) {
        *self.0.there.lock().unwrap() = true;
        self.0.given.notify_one();
    }
}

/// The calling thread.
#[must_use]
pub fn current_thread() -> Thread {
    CURRENT.with(Thread::clone)
}

/// Sleeps until the token is there, and takes it.
#[expect(clippy::unwrap_used, reason = "a model that panics has failed already")]
pub fn park_timeout(_limit: Duration) {
    let thread = current_thread();
    let mut there = thread.0.there.lock().unwrap();
    while !*there {
        there = thread.0.given.wait(there).unwrap();
    }
    *there = false;
}
