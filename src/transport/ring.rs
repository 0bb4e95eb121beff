//! The descriptor ring from the caller to the proxy: single producer, single consumer, bounded, without locks.
//!
//! A slot is eight 64-bit words, one cache line: what a GPU can later write with a few stores. Words are relaxed
//! atomics and the two indices are published with release and read with acquire, so the ring needs no `unsafe`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::signal::{Signal, SignalOp};

/// A put, with or without a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// Target PE.
    pub dst: u32,
    /// Offset of the source in this PE's heap.
    pub local: u64,
    /// Offset of the destination in the target's heap.
    pub remote: u64,
    /// Bytes.
    pub len: u64,
    /// Signal applied at the target once the data have landed.
    pub signal: Option<Signal>,
}

/// What a caller asks of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Write to another PE.
    Put(Put),
    /// Report ticket `0` done once everything posted before has landed at its targets.
    Quiet(u64),
    /// Publish a full set of counters under this ticket.
    Snapshot(u64),
    /// Switch to the policy with this index, with its counters at 0.
    SetPolicy(u64),
    /// End the proxy.
    Stop,
}

type Words = [u64; 8];

impl Command {
    fn encode(self) -> Words {
        match self {
            Self::Put(put) => {
                let (op, offset, value) = match put.signal {
                    None => (0, 0, 0),
                    Some(Signal { op: SignalOp::Set, offset, value }) => (1, offset, value),
                    Some(Signal { op: SignalOp::Add, offset, value }) => (2, offset, value),
                };
                [1 | op << 8 | u64::from(put.dst) << 32, put.local, put.remote, put.len, offset, value, 0, 0]
            }
            Self::Quiet(ticket) => [2, ticket, 0, 0, 0, 0, 0, 0],
            Self::Snapshot(ticket) => [3, ticket, 0, 0, 0, 0, 0, 0],
            Self::SetPolicy(index) => [4, index, 0, 0, 0, 0, 0, 0],
            Self::Stop => [5, 0, 0, 0, 0, 0, 0, 0],
        }
    }

    fn decode(words: Words) -> Self {
        let [head, local, remote, len, offset, value, ..] = words;
        match head & 0xff {
            1 => {
                let op = match head >> 8 & 0xff {
                    1 => Some(SignalOp::Set),
                    2 => Some(SignalOp::Add),
                    _ => None,
                };
                #[expect(clippy::cast_possible_truncation, reason = "the upper half of the word")]
                let dst = (head >> 32) as u32;
                let signal = op.map(|op| Signal { offset, op, value });
                Self::Put(Put { dst, local, remote, len, signal })
            }
            2 => Self::Quiet(local),
            3 => Self::Snapshot(local),
            4 => Self::SetPolicy(local),
            _ => Self::Stop,
        }
    }
}

/// An index alone on its pair of cache lines (adjacent lines are prefetched together).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Index(AtomicU64);

#[derive(Debug)]
struct Shared {
    slots: Box<[[AtomicU64; 8]]>,
    mask: u64,
    head: Index,
    tail: Index,
}

/// The caller's end.
#[derive(Debug)]
pub struct Producer {
    shared: Arc<Shared>,
    tail: u64,
    cached_head: u64,
}

/// The proxy's end.
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    head: u64,
    cached_tail: u64,
}

/// Makes a ring of at least `depth` slots (rounded up to a power of two).
#[must_use]
pub fn ring(depth: usize) -> (Producer, Consumer) {
    let depth = depth.max(2).next_power_of_two();
    let slots = (0..depth).map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect();
    let shared =
        Arc::new(Shared { slots, mask: depth as u64 - 1, head: Index::default(), tail: Index::default() });
    (
        Producer { shared: Arc::clone(&shared), tail: 0, cached_head: 0 },
        Consumer { shared, head: 0, cached_tail: 0 },
    )
}

impl Shared {
    fn slot(&self, index: u64) -> Option<&[AtomicU64; 8]> {
        self.slots.get(usize::try_from(index & self.mask).ok()?)
    }
}

impl Producer {
    /// Adds a command; `false` when the ring is full.
    #[must_use]
    pub fn try_push(&mut self, command: Command) -> bool {
        let depth = self.shared.mask + 1;
        if self.tail - self.cached_head >= depth {
            self.cached_head = self.shared.head.0.load(Ordering::Acquire);
            if self.tail - self.cached_head >= depth {
                return false;
            }
        }
        let Some(slot) = self.shared.slot(self.tail) else {
            return false;
        };
        for (word, value) in slot.iter().zip(command.encode()) {
            word.store(value, Ordering::Relaxed);
        }
        self.tail += 1;
        self.shared.tail.0.store(self.tail, Ordering::Release);
        true
    }
}

impl Consumer {
    /// Takes the oldest command.
    pub fn pop(&mut self) -> Option<Command> {
        if self.head == self.cached_tail {
            self.cached_tail = self.shared.tail.0.load(Ordering::Acquire);
            if self.head == self.cached_tail {
                return None;
            }
        }
        let slot = self.shared.slot(self.head)?;
        let words = std::array::from_fn(|i| slot[i].load(Ordering::Relaxed));
        self.head += 1;
        self.shared.head.0.store(self.head, Ordering::Release);
        Some(Command::decode(words))
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head == self.shared.tail.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(i: u64) -> Command {
        let signal = (i % 3 > 0).then_some(Signal {
            offset: i * 8,
            op: if i % 3 == 1 { SignalOp::Set } else { SignalOp::Add },
            value: !i,
        });
        Command::Put(Put { dst: u32::MAX - 7, local: i, remote: i << 40, len: u64::MAX - i, signal })
    }

    #[test]
    fn commands_come_back() {
        for command in [
            put(0),
            put(1),
            put(2),
            Command::Quiet(9),
            Command::Snapshot(8),
            Command::SetPolicy(3),
            Command::Stop,
        ] {
            assert_eq!(Command::decode(command.encode()), command);
        }
    }

    #[test]
    fn a_full_ring_says_so() {
        let (mut producer, mut consumer) = ring(4);
        for i in 0..4 {
            assert!(producer.try_push(put(i)));
        }
        assert!(!producer.try_push(put(4)));
        assert_eq!(consumer.pop(), Some(put(0)));
        assert!(producer.try_push(put(4)));
    }

    #[test]
    fn nothing_is_lost_torn_or_reordered_between_threads() {
        const COUNT: u64 = 200_000;
        let (mut producer, mut consumer) = ring(16);
        let writer = std::thread::spawn(move || {
            for i in 0..COUNT {
                while !producer.try_push(put(i)) {
                    std::thread::yield_now();
                }
            }
        });
        for i in 0..COUNT {
            let command = loop {
                match consumer.pop() {
                    Some(command) => break command,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(command, put(i));
        }
        writer.join().unwrap();
        assert!(consumer.is_empty());
    }
}
