//! The descriptor ring from the caller to the proxy: commands, each as the words of one slot.

mod slots;

use super::atomic::{Atomic, AtomicOp, Width};
use super::select::PolicyKind;
use super::signal::{Signal, SignalOp};
use crate::counters::RxSource;

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
    /// Report a ticket done once everything posted before has landed at its targets.
    Quiet {
        /// The ticket.
        ticket: u64,
        /// Only what was posted to this PE.
        pe: Option<u32>,
    },
    /// Tell a GPU's ring that everything posted before has landed at its targets.
    RingQuiet {
        /// Number of the ring.
        ring: u32,
        /// Descriptors posted in it, the quiet included.
        posted: u64,
    },
    /// Send nothing more to any PE before everything posted to that PE has landed.
    Fence,
    /// Change a word of another PE's heap.
    Atomic {
        /// Target PE.
        dst: u32,
        /// The change.
        atomic: Atomic,
        /// Where the old value is waited for.
        tag: Option<u32>,
    },
    /// Read from another PE's heap.
    Get {
        /// The PE that has the bytes.
        src: u32,
        /// Their offset in its heap.
        remote: u64,
        /// Where they go in this PE's heap.
        local: u64,
        /// How many.
        len: u64,
        /// Where the end is waited for; `None`: quiet does.
        tag: Option<u32>,
    },
    /// Publish a full set of counters under this ticket.
    Snapshot(u64),
    /// Signal another PE by itself, as barriers do.
    Signal {
        /// Target PE.
        dst: u32,
        /// The signal.
        signal: Signal,
    },
    /// Write a few bytes to a PE through one NIC, to see what its completions say.
    Probe {
        /// Target PE.
        dst: u32,
        /// NIC on both sides.
        nic: u16,
        /// Where the bytes land in the target's heap.
        remote: u64,
        /// Signal once they have landed.
        signal: Signal,
    },
    /// Switch to another policy, with its counters at 0.
    SetPolicy(PolicyKind),
    /// End the probing and count received bytes this way.
    SetRxSource {
        /// How this PE knows them.
        source: RxSource,
        /// Whether some PE needs the ledger.
        ledger: bool,
    },
    /// End the proxy.
    Stop,
}

/// A slot: one cache line.
type Words = [u64; 8];

/// Kind of a put.
const KIND_PUT: u64 = 1;

/// How the ring numbers the sources of Rx bytes.
const RX_SOURCES: [RxSource; 4] = [RxSource::None, RxSource::CqeLen, RxSource::ImmLen, RxSource::Ledger];

/// A signal as (operation, offset, value); operation 0 is no signal.
#[inline]
fn encode_signal(signal: Option<Signal>) -> [u64; 3] {
    match signal {
        None => [0, 0, 0],
        Some(Signal { op: SignalOp::Set, offset, value }) => [1, offset, value],
        Some(Signal { op: SignalOp::Add, offset, value }) => [2, offset, value],
    }
}

#[inline]
fn decode_signal(op: u64, offset: u64, value: u64) -> Option<Signal> {
    let op = match op {
        1 => SignalOp::Set,
        2 => SignalOp::Add,
        _ => return None,
    };
    Some(Signal { offset, op, value })
}

/// Position of `item` in `list`, for items that are always in it.
fn position<T: PartialEq>(list: &[T], item: &T) -> u64 {
    list.iter().position(|other| other == item).unwrap_or(0) as u64
}

/// Word 0: kind in bits 0 to 7, signal operation (or whether PE or tag are given) in 8 to 15, NIC in 16 to 31, target PE in
/// 32 to 63.
#[inline]
fn head(kind: u64, op: u64, nic: u16, dst: u32) -> u64 {
    kind | op << 8 | u64::from(nic) << 16 | u64::from(dst) << 32
}

impl Put {
    #[inline]
    fn encode(self) -> Words {
        let [op, offset, value] = encode_signal(self.signal);
        [head(KIND_PUT, op, 0, self.dst), self.local, self.remote, self.len, offset, value, 0, 0]
    }
}

impl Command {
    /// As a slot. Nearly all are puts.
    #[inline]
    fn encode(self) -> Words {
        if let Self::Put(put) = self { put.encode() } else { self.encode_other() }
    }

    #[inline(never)]
    fn encode_other(self) -> Words {
        let some = |number: Option<u32>| u64::from(number.is_some());
        match self {
            Self::Put(put) => put.encode(),
            Self::Quiet { ticket, pe } => [head(2, some(pe), 0, pe.unwrap_or(0)), ticket, 0, 0, 0, 0, 0, 0],
            Self::RingQuiet { ring, posted } => [head(12, 0, 0, ring), posted, 0, 0, 0, 0, 0, 0],
            Self::Fence => [9, 0, 0, 0, 0, 0, 0, 0],
            Self::Atomic { dst, atomic, tag } => {
                let half = u16::from(atomic.width == Width::Half) << 8;
                let nic = u16::from(atomic.op.code()) | half;
                let (offset, operand, compare) = (atomic.offset, atomic.operand, atomic.compare);
                [
                    head(10, some(tag), nic, dst),
                    offset,
                    operand,
                    compare,
                    u64::from(tag.unwrap_or(0)),
                    0,
                    0,
                    0,
                ]
            }
            Self::Get { src, remote, local, len, tag } => {
                [head(11, some(tag), 0, src), local, remote, len, u64::from(tag.unwrap_or(0)), 0, 0, 0]
            }
            Self::Snapshot(ticket) => [3, ticket, 0, 0, 0, 0, 0, 0],
            Self::SetPolicy(kind) => [4, position(&PolicyKind::ALL, &kind), 0, 0, 0, 0, 0, 0],
            Self::Signal { dst, signal } => {
                let [op, offset, value] = encode_signal(Some(signal));
                [head(6, op, 0, dst), 0, 0, 0, offset, value, 0, 0]
            }
            Self::Probe { dst, nic, remote, signal } => {
                let [op, offset, value] = encode_signal(Some(signal));
                [head(7, op, nic, dst), 0, remote, 0, offset, value, 0, 0]
            }
            Self::SetRxSource { source, ledger } => {
                [8, position(&RX_SOURCES, &source), u64::from(ledger), 0, 0, 0, 0, 0]
            }
            Self::Stop => [5, 0, 0, 0, 0, 0, 0, 0],
        }
    }

    /// Reads a slot; `None` when it holds no command (never, for slots written by [`Self::encode`]). Nearly all hold puts.
    #[inline]
    fn decode(words: Words) -> Option<Self> {
        let [head, local, remote, len, offset, value, ..] = words;
        if head & 0xff != KIND_PUT {
            // An array of its own, so that a put's words need not be in memory for it.
            return Self::decode_other([head, local, remote, len, offset, value]);
        }
        let dst = (head >> 32) as u32;
        let signal = decode_signal(head >> 8 & 0xff, offset, value);
        Some(Self::Put(Put { dst, local, remote, len, signal }))
    }

    #[inline(never)]
    fn decode_other([head, local, remote, len, offset, value]: [u64; 6]) -> Option<Self> {
        let signal = decode_signal(head >> 8 & 0xff, offset, value);
        let present = head >> 8 & 1 == 1;
        #[expect(clippy::cast_possible_truncation, reason = "each field takes its own bits")]
        let (nic, dst, tag) = ((head >> 16) as u16, (head >> 32) as u32, offset as u32);
        let index = usize::try_from(local).unwrap_or(usize::MAX);
        Some(match head & 0xff {
            2 => Self::Quiet { ticket: local, pe: present.then_some(dst) },
            12 => Self::RingQuiet { ring: dst, posted: local },
            9 => Self::Fence,
            10 => {
                let width = if nic >> 8 == 0 { Width::Word } else { Width::Half };
                let op = *AtomicOp::ALL.get(usize::from(nic & 0xff))?;
                let atomic = Atomic { offset: local, width, op, operand: remote, compare: len };
                Self::Atomic { dst, atomic, tag: present.then_some(tag) }
            }
            11 => Self::Get { src: dst, remote, local, len, tag: present.then_some(tag) },
            3 => Self::Snapshot(local),
            4 => Self::SetPolicy(*PolicyKind::ALL.get(index)?),
            5 => Self::Stop,
            6 => Self::Signal { dst, signal: signal? },
            7 => Self::Probe { dst, nic, remote, signal: signal? },
            8 => Self::SetRxSource { source: *RX_SOURCES.get(index)?, ledger: remote != 0 },
            _ => return None,
        })
    }
}

/// The caller's end.
#[derive(Debug)]
pub struct Producer(slots::Producer<8>);

/// The proxy's end.
#[derive(Debug)]
pub struct Consumer(slots::Consumer<8>);

/// Makes a ring of at least `depth` slots (rounded up to a power of two).
#[must_use]
pub fn ring(depth: usize) -> (Producer, Consumer) {
    let (producer, consumer) = slots::ring(depth, 0);
    (Producer(producer), Consumer(consumer))
}

impl Producer {
    /// Whether half of the ring is free: time to go on for who has found it full.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.has_room()
    }

    /// Adds a command; `false` when the ring is full.
    #[must_use]
    #[inline]
    pub fn try_push(&mut self, command: Command) -> bool {
        self.0.try_push(|| command.encode())
    }
}

impl Consumer {
    /// Takes the oldest command.
    #[inline]
    pub fn pop(&mut self) -> Option<Command> {
        self.0.pop().and_then(Command::decode)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(i: u64) -> Command {
        let signal = (!i.is_multiple_of(3)).then_some(Signal {
            offset: i * 8,
            op: if i % 3 == 1 { SignalOp::Set } else { SignalOp::Add },
            value: !i,
        });
        Command::Put(Put { dst: u32::MAX - 7, local: i, remote: i << 40, len: u64::MAX - i, signal })
    }

    #[test]
    fn commands_come_back() {
        let signal = Signal { offset: 64, op: SignalOp::Add, value: 3 };
        let mut commands = vec![put(0), put(1), put(2), Command::Snapshot(8), Command::Stop];
        commands.push(Command::Signal { dst: 7, signal });
        commands.push(Command::RingQuiet { ring: 3, posted: u64::MAX });
        commands.push(Command::Probe { dst: 7, nic: 31, remote: 2048, signal });
        for pe in [None, Some(0), Some(u32::MAX)] {
            commands.extend([Command::Quiet { ticket: 9, pe }, Command::Fence]);
            for (op, width) in AtomicOp::ALL.into_iter().zip([Width::Half, Width::Word].into_iter().cycle()) {
                let atomic = Atomic { offset: 4, width, op, operand: 5, compare: 6 };
                commands.push(Command::Atomic { dst: 3, atomic, tag: pe });
            }
            commands.push(Command::Get { src: 2, remote: 1, local: 7, len: u64::MAX, tag: pe });
        }
        commands.extend(PolicyKind::ALL.map(Command::SetPolicy));
        commands.extend(RX_SOURCES.map(|source| Command::SetRxSource { source, ledger: true }));
        for command in commands {
            assert_eq!(Command::decode(command.encode()), Some(command));
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
