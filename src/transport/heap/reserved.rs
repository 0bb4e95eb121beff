//! The map of the reserved page, with which every heap begins. It is the same on every PE: others signal and probe there.

use crate::transport::wire::MAX_NICS;

/// Bytes at the start of the heap that the transport keeps for itself.
pub const RESERVED: u64 = 4096;

/// The event's 32-bit word that changes with each notification (`event.rs`).
pub(in crate::transport) const GENERATION: u64 = 0;
/// The event's 32-bit word that counts who sleeps.
pub(in crate::transport) const WAITERS: u64 = 4;
/// A random tag by which a mapping is known to be the right one.
pub(in crate::transport) const TAG: u64 = 8;
/// The barrier's words, one per round.
pub(in crate::transport) const BARRIER: u64 = 64;
/// Counts the broadcasts that have arrived.
pub(in crate::transport) const BROADCAST: u64 = 448;
/// Counts the probes that have landed.
pub(in crate::transport) const PROBES: u64 = 512;
/// Counts what this PE does for others without any NIC: who waits for it on this node sees by that, and by nothing else, that it
/// gets on. Alone in its line of the cache, since others look at it all the time.
pub(in crate::transport) const LIFE: u64 = 576;
/// Where the bytes of probes come from.
pub(in crate::transport) const PROBE_SOURCE: u64 = 1024;
/// Where probes land, a slot for each NIC.
pub(in crate::transport) const PROBE_TARGET: u64 = 2048;

/// Bytes of a probe.
pub(in crate::transport) const PROBE_BYTES: u64 = 64;

/// Rounds of a barrier: the PEs are a 32-bit number, and rounds its bits.
const ROUNDS: u64 = 32;

/// Bytes of a line of the cache.
const LINE: u64 = 64;

/// Where each part begins, and its bytes.
const MAP: [(u64, u64); 9] = [
    (GENERATION, 4),
    (WAITERS, 4),
    (TAG, 8),
    (BARRIER, 8 * ROUNDS),
    (BROADCAST, 8),
    (PROBES, 8),
    (LIFE, LINE),
    (PROBE_SOURCE, PROBE_BYTES),
    (PROBE_TARGET, PROBE_BYTES * MAX_NICS as u64),
];

const _: () = {
    let mut end = 0;
    let mut part = 0;
    while part < MAP.len() {
        let (start, bytes) = MAP[part];
        assert!(start >= end, "parts overlap");
        assert!(start.is_multiple_of(if bytes < 8 { bytes } else { 8 }), "words are aligned");
        end = start + bytes;
        part += 1;
    }
    assert!(end <= RESERVED, "the page is too small");
    assert!(LIFE.is_multiple_of(LINE));
};
