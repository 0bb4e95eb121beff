//! The event in the heap: whoever waits is woken by whoever changes something.

use std::time::Duration;

use loom::thread;
use railtop_models::event::Event;
use railtop_models::sync::{Arc, AtomicU32, AtomicU64, Ordering};

use crate::check;

/// A heap with an event and one signal word.
#[derive(Default)]
pub struct Heap {
    generation: AtomicU32,
    waiters: AtomicU32,
    pub word: AtomicU64,
}

impl Heap {
    pub fn event(&self) -> Event<'_> {
        Event::new(&self.generation, &self.waiters)
    }

    /// What a proxy or a PE of the same node does with a signal.
    fn signal(&self) {
        self.word.fetch_add(1, Ordering::Release);
        self.event().notify();
    }

    /// What a waiting PE does.
    pub fn wait_for(&self, value: u64) {
        let ready = || self.word.load(Ordering::Acquire) >= value;
        while !ready() {
            self.event().wait(Duration::MAX, ready);
        }
    }
}

/// Each of these runs in a thread of its own.
fn model(preemptions: usize, threads: &'static [fn(&Heap)]) {
    check(Some(preemptions), move || {
        let heap = Arc::new(Heap::default());
        let start = |&does: &fn(&Heap)| {
            let heap = Arc::clone(&heap);
            thread::spawn(move || does(&heap))
        };
        let threads: Vec<_> = threads.iter().map(start).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn one_waits_for_two_signals_of_one() {
    model(
        2,
        &[
            |heap| {
                heap.signal();
                heap.signal();
            },
            |heap| {
                heap.wait_for(1);
                heap.wait_for(2);
            },
        ],
    );
}

#[test]
fn one_waits_for_two() {
    model(2, &[Heap::signal, Heap::signal, |heap| heap.wait_for(2)]);
}

#[test]
fn two_wait_for_two() {
    model(1, &[Heap::signal, Heap::signal, |heap| heap.wait_for(1), |heap| heap.wait_for(2)]);
}
