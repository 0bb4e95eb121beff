//! The hot path: publishing counters into a block that only this thread writes.

use std::sync::atomic::{
    Ordering::{Relaxed, Release},
    fence,
};

use super::{
    counts::{NicCounts, PeCounts},
    layout::{CONTROL_STRIDE, FIRST_FIELD, NIC_COUNTERS_STRIDE, PROCESS_STRIDE, PUBLISHED_NS, SEQ},
    mapping::Record,
};

pub(super) const NIC_WORDS: usize = NIC_COUNTERS_STRIDE / 8;
pub(super) const PROCESS_WORDS: usize = PROCESS_STRIDE / 8;
pub(super) const CONTROL_WORDS: usize = CONTROL_STRIDE / 8;
const FIRST_WORD: usize = FIRST_FIELD / 8;
/// `tx_posted_ops` and `tx_posted_bytes`: stored before everything else.
const POSTED_WORDS: usize = 2;

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

/// One update of a sequence-locked record by its only writer.
///
/// Odd while it runs, even when it is complete. The release fence after the odd store keeps the data
/// behind it; the release store at the end keeps the data before it. A reader that sees the same
/// even number before and after its copy has a copy of one update.
#[inline]
pub(super) fn update<const N: usize>(
    record: &Record<N>,
    now_ns: u64,
    store: impl FnOnce(&Record<N>),
) {
    // A writer that died within an update never comes back to its page, so the number is even here.
    let seq = u64::from_le(record[SEQ / 8].load(Relaxed));
    record[SEQ / 8].store(seq.wrapping_add(1).to_le(), Relaxed);
    fence(Release);
    record[PUBLISHED_NS / 8].store(now_ns.to_le(), Relaxed);
    store(record);
    record[SEQ / 8].store(seq.wrapping_add(2).to_le(), Release);
}

#[inline]
fn publish<const N: usize, const F: usize>(record: &Record<N>, now_ns: u64, values: &[u64; F]) {
    const { assert!(FIRST_WORD + F <= N, "the record has a word for every field") };
    update(record, now_ns, |record| {
        for (i, value) in values.iter().enumerate() {
            if i == POSTED_WORDS {
                // Readers that give up on a coherent copy still rely on "posted before done".
                fence(Release);
            }
            record[FIRST_WORD + i].store(value.to_le(), Relaxed);
        }
    });
}
