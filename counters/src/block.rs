//! The hot path: publishing counters into a block that only this thread writes.

use super::{
    counts::{NicCounts, PeCounts},
    layout::{CONTROL_STRIDE, NIC_COUNTERS_STRIDE, PROCESS_STRIDE},
    mapping::Record,
    sequence::publish,
};

pub(super) const NIC_WORDS: usize = NIC_COUNTERS_STRIDE / 8;
pub(super) const PROCESS_WORDS: usize = PROCESS_STRIDE / 8;
pub(super) const CONTROL_WORDS: usize = CONTROL_STRIDE / 8;

/// The counters of one thread on one NIC. Handed out once, so there is one writer; `Send`, to go to
/// the proxy thread; keeps the mapping alive.
#[derive(Debug)]
pub struct NicBlock {
    pub(super) record: Record<NIC_WORDS>,
}

impl NicBlock {
    /// Publishes the totals since the start, as of `now_ns` ([`super::monotonic_ns`]).
    ///
    /// Never blocks and makes no system call; a few nanoseconds (`benches/counter_page.rs`).
    /// `counts.tx_done_*` must not exceed `counts.tx_posted_*`.
    #[inline]
    pub fn publish(&mut self, now_ns: u64, counts: &NicCounts) {
        publish(&self.record, now_ns, &counts.to_array());
    }
}

/// The process-wide counters and the heartbeat. Handed out once, like [`NicBlock`].
#[derive(Debug)]
pub struct ProcessBlock {
    pub(super) record: Record<PROCESS_WORDS>,
}

impl ProcessBlock {
    /// Publishes the totals since the start; `now_ns` is the heartbeat. Call it at least once a
    /// second, also when there is nothing to do: see [`super::STALL_AFTER`].
    #[inline]
    pub fn publish(&mut self, now_ns: u64, counts: &PeCounts) {
        publish(&self.record, now_ns, &counts.to_array());
    }
}
