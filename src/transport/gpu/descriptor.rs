//! What a GPU thread writes to post an operation: eight words of 8 bytes, each valid by itself.
//!
//! A word carries 56 bits and, in its low byte, the *mark* of the lap in which it was written. Each is written by one
//! store, so it is never torn; together they may arrive in any order over PCIe, and a reader takes a descriptor when all
//! eight have the mark that it waits for. All eight are written in every lap: what an earlier lap left could bear the same
//! mark otherwise. `kernels/railtop.cuh` is the other side.

use super::mark::PAYLOAD_BITS;
use crate::transport::ring::Put;
use crate::transport::signal::{Signal, SignalOp};

/// Words of a descriptor: one line of a CPU's cache.
pub const WORDS: usize = 8;

/// The words as they lie in memory.
pub type Words = [u64; WORDS];

/// What a GPU asks of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptor {
    /// Write to another PE, and signal it then if so wanted.
    Put(Put),
    /// Signal another PE by itself.
    Signal {
        /// Target PE.
        dst: u32,
        /// The signal.
        signal: Signal,
    },
    /// Say when everything posted before has landed.
    Quiet,
}

/// What no kernel of ours writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// The kernel itself has found that the operation makes no sense.
    #[error("an operation outside of the heap, or on a word that is not aligned")]
    Wrong,
    /// Another kind.
    #[error("a descriptor of kind {0}, which is none")]
    Kind(u8),
    /// Another signal operation.
    #[error("a signal operation {0}, which is none")]
    Signal(u8),
}

const KIND_PUT: u8 = 1;
const KIND_SIGNAL: u8 = 2;
const KIND_QUIET: u8 = 3;
const KIND_WRONG: u8 = 255;

const NO_SIGNAL: u8 = 0;
const SIGNAL_SET: u8 = 1;
const SIGNAL_ADD: u8 = 2;

impl Descriptor {
    /// Reads a descriptor from its payload (words without their marks).
    ///
    /// # Errors
    /// When it is none that `kernels/railtop.cuh` writes.
    pub fn decode(payload: Words) -> Result<Self, DescriptorError> {
        let [head, local, remote, len, offset, low, high, _] = payload;
        #[expect(clippy::cast_possible_truncation, reason = "each field takes its own bits")]
        let (kind, op, dst) = (head as u8, (head >> 8) as u8, (head >> 16) as u32);
        let value = low | high << 56;
        let signal = match op {
            NO_SIGNAL => None,
            SIGNAL_SET => Some(Signal { offset, op: SignalOp::Set, value }),
            SIGNAL_ADD => Some(Signal { offset, op: SignalOp::Add, value }),
            other => return Err(DescriptorError::Signal(other)),
        };
        match (kind, signal) {
            (KIND_PUT, signal) => Ok(Self::Put(Put { dst, local, remote, len, signal })),
            (KIND_SIGNAL, Some(signal)) => Ok(Self::Signal { dst, signal }),
            (KIND_SIGNAL, None) => Err(DescriptorError::Signal(NO_SIGNAL)),
            (KIND_QUIET, _) => Ok(Self::Quiet),
            (KIND_WRONG, _) => Err(DescriptorError::Wrong),
            (other, _) => Err(DescriptorError::Kind(other)),
        }
    }

    /// The payload of a descriptor, as a kernel makes it: what tests post.
    #[must_use]
    pub fn encode(self) -> Words {
        let head = |kind: u8, op: u8, dst: u32| u64::from(kind) | u64::from(op) << 8 | u64::from(dst) << 16;
        let parts = |signal: Option<Signal>| match signal {
            None => (NO_SIGNAL, [0; 3]),
            Some(Signal { offset, op, value }) => {
                let code = if op == SignalOp::Set { SIGNAL_SET } else { SIGNAL_ADD };
                (code, [offset, value & PAYLOAD, value >> 56])
            }
        };
        match self {
            Self::Put(Put { dst, local, remote, len, signal }) => {
                let (op, [offset, low, high]) = parts(signal);
                [head(KIND_PUT, op, dst), local, remote, len, offset, low, high, 0]
            }
            Self::Signal { dst, signal } => {
                let (op, [offset, low, high]) = parts(Some(signal));
                [head(KIND_SIGNAL, op, dst), 0, 0, 0, offset, low, high, 0]
            }
            Self::Quiet => [head(KIND_QUIET, NO_SIGNAL, 0), 0, 0, 0, 0, 0, 0, 0],
        }
    }
}

/// The bits of a word that are not its mark.
const PAYLOAD: u64 = (1 << PAYLOAD_BITS) - 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::mark::{mark_of, marked, payload};
    use super::*;

    fn signals() -> impl Strategy<Value = Signal> {
        let op = prop_oneof![Just(SignalOp::Set), Just(SignalOp::Add)];
        (0..=PAYLOAD, op, any::<u64>()).prop_map(|(offset, op, value)| Signal { offset, op, value })
    }

    fn descriptors() -> impl Strategy<Value = Descriptor> {
        let put = (any::<u32>(), proptest::array::uniform3(0..=PAYLOAD), proptest::option::of(signals()));
        prop_oneof![
            put.prop_map(|(dst, [local, remote, len], signal)| {
                Descriptor::Put(Put { dst, local, remote, len, signal })
            }),
            (any::<u32>(), signals()).prop_map(|(dst, signal)| Descriptor::Signal { dst, signal }),
            Just(Descriptor::Quiet),
        ]
    }

    proptest! {
        #[test]
        fn descriptors_come_back(descriptor in descriptors(), lap: u64) {
            let mark = mark_of(lap);
            prop_assert_ne!(mark, 0);
            let words = descriptor.encode().map(|word| marked(word, mark));
            let read = words.map(|word| payload(word, mark).expect("its mark"));
            prop_assert_eq!(Descriptor::decode(read), Ok(descriptor));
            // The lap before and the one after bear other marks.
            for other in [lap.wrapping_sub(1), lap.wrapping_add(1)] {
                prop_assert_eq!(payload(words[0], mark_of(other)), None);
            }
        }

        #[test]
        fn anything_is_a_descriptor_or_an_error(words: Words) {
            let _ = Descriptor::decode(words.map(|word| word & PAYLOAD));
        }
    }
}
