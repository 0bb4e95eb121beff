//! The futex, as futex(2) has it: comparing the word and going to sleep are one step for whoever wakes, which in the kernel and
//! here is a lock's doing.

use std::time::Duration;

use loom::sync::atomic::Ordering;
use loom::sync::{Condvar, Mutex};

use super::AtomicU32;

/// Who may wait for the word: makes no difference here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Threads of this process.
    Process,
    /// Any process.
    Shared,
}

/// Who sleeps, by the address of the word.
#[derive(Debug, Default)]
struct Queue {
    sleepers: Vec<(usize, u64)>,
    tickets: u64,
}

loom::lazy_static! {
    static ref QUEUE: Mutex<Queue> = Mutex::new(Queue::default());
    static ref WOKEN: Condvar = Condvar::new();
}

fn address(word: &AtomicU32) -> usize {
    std::ptr::from_ref(word).addr()
}

/// Sleeps while the word is `value`, until it is woken.
#[expect(clippy::unwrap_used, reason = "a model that panics has failed already")]
pub fn wait(word: &AtomicU32, value: u32, _limit: Option<Duration>, _scope: Scope) {
    let mut queue = QUEUE.lock().unwrap();
    if word.load(Ordering::Relaxed) != value {
        return;
    }
    queue.tickets += 1;
    let sleeper = (address(word), queue.tickets);
    queue.sleepers.push(sleeper);
    while queue.sleepers.contains(&sleeper) {
        queue = WOKEN.wait(queue).unwrap();
    }
}

/// Wakes all who wait for the word.
#[expect(clippy::unwrap_used, reason = "a model that panics has failed already")]
pub fn wake_all(word: &AtomicU32, _scope: Scope) {
    let mut queue = QUEUE.lock().unwrap();
    queue.sleepers.retain(|(at, _)| *at != address(word));
    WOKEN.notify_all();
}
