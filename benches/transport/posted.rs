//! What a GPU posts, without one: descriptors that the CPU writes into a ring as a kernel does, through the proxy to a NIC
//! that completes at once.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use railtop::transport::gpu::descriptor::{Descriptor, WORDS};
use railtop::transport::gpu::mark::{mark_of, marked};
use railtop::transport::gpu::{RingMemory, Rings, taken_at, words_for};
use railtop::transport::proxy::{Clock, Drive, Driver, Proxy, Turn};

use crate::null::{Alone, NullNic, Quiets, put_of};

/// Descriptors of a ring.
const DEPTH: usize = 4096;

/// The words of the first ring, which has [`DEPTH`] descriptors.
pub fn words(memory: &RingMemory) -> &[AtomicU64] {
    memory.mapping().words(0, words_for(DEPTH, WORDS) as u64).unwrap()
}

/// Writes descriptor number `index` into a ring, as a kernel does; there must be room.
pub fn write_descriptor(words: &[AtomicU64], index: u64, payload: [u64; WORDS]) {
    let mark = mark_of(index / DEPTH as u64);
    let slot = usize::try_from(index % DEPTH as u64).unwrap() * WORDS;
    fence(Ordering::Release);
    for (word, payload) in words[slot..slot + WORDS].iter().zip(payload) {
        word.store(marked(payload, mark), Ordering::Relaxed);
    }
}

/// Rings, who posts into the first of them, and the proxy that looks at all.
pub struct Posted {
    driver: Driver<Proxy<NullNic>>,
    memory: RingMemory,
    /// A put-signal of 8 bytes.
    payload: [u64; WORDS],
    /// Number of the next descriptor.
    next: u64,
}

impl Posted {
    pub fn new(nics: u16, rings: u32, clock: Clock) -> Self {
        let (driver, _) = Alone::new(8, nics, Quiets::One, clock).into_driver();
        let memory = RingMemory::create(rings, u32::try_from(DEPTH).unwrap()).unwrap();
        assert!(driver.attach(Rings::new(&memory, Vec::new())));
        Self { driver, memory, payload: Descriptor::Put(put_of(8)).encode(), next: 0 }
    }

    /// Posts into the empty ring.
    fn post(&mut self, count: u64) {
        let words = words(&self.memory);
        for index in self.next..self.next + count {
            write_descriptor(words, index, self.payload);
        }
        self.next += count;
    }

    /// Takes turns until all is taken, and done.
    fn take(&self) {
        while words(&self.memory)[taken_at(DEPTH, WORDS)].load(Ordering::Acquire) < self.next
            || self.driver.has_work()
        {
            assert_ne!(self.driver.turn(), Some(Turn::Stop), "the proxy has failed");
        }
    }

    /// Puts `count` times, the ring full each time; how long it took to take them.
    pub fn puts(&mut self, count: u64) -> Duration {
        let mut taken = Duration::ZERO;
        let mut left = count;
        while left > 0 {
            let now = left.min(DEPTH as u64);
            self.post(now);
            let start = Instant::now();
            self.take();
            taken += start.elapsed();
            left -= now;
        }
        taken
    }
}

/// Nanoseconds per put-signal of 8 bytes over `nics` NICs through one of `rings` rings, without what posting takes, the median of several rounds.
pub fn nanoseconds(nics: u16, rings: u32) -> f64 {
    const PUTS: u64 = 200_000;
    let mut posted = Posted::new(nics, rings, Clock::System);
    posted.puts(PUTS);
    crate::median((0..9).map(|_| posted.puts(PUTS).as_secs_f64() * 1e9 / PUTS as f64))
}
