//! The writer's side of the sequence lock.

use super::layout::{FIRST_FIELD, PUBLISHED_NS, SEQ};
use crate::sync::{
    AtomicU64,
    Ordering::{Relaxed, Release},
    fence,
};

const FIRST_WORD: usize = FIRST_FIELD / 8;
/// `tx_posted_ops` and `tx_posted_bytes`: stored before everything else.
const POSTED_WORDS: usize = 2;

/// One update of a sequence-locked record by its only writer.
///
/// Odd while it runs, even when it is complete. The release fence after the odd store keeps the data
/// behind it; the release store at the end keeps the data before it. A reader that sees the same
/// even number before and after its copy has a copy of one update.
#[inline]
pub(super) fn update<const N: usize>(
    record: &[AtomicU64; N],
    now_ns: u64,
    store: impl FnOnce(&[AtomicU64; N]),
) {
    // A writer that died within an update never comes back to its page, so the number is even here.
    let seq = u64::from_le(record[SEQ / 8].load(Relaxed));
    record[SEQ / 8].store(seq.wrapping_add(1).to_le(), Relaxed);
    fence(Release);
    record[PUBLISHED_NS / 8].store(now_ns.to_le(), Relaxed);
    store(record);
    record[SEQ / 8].store(seq.wrapping_add(2).to_le(), Release);
}

/// An update of all the counters of a record, in their order.
#[inline]
pub(super) fn publish<const N: usize, const F: usize>(
    record: &[AtomicU64; N],
    now_ns: u64,
    values: &[u64; F],
) {
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
