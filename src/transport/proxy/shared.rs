//! What the proxy and its caller share: tickets, totals, and who sleeps.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::attendance::Attendance;
use crate::counters::NicCounts;
use crate::transport::answers::Answers;
use crate::transport::incident::Incident;

/// What the proxy shares with the caller.
#[derive(Debug, Default)]
pub struct Shared {
    pub(super) quiet_done: AtomicU64,
    pub(super) snapshot_done: AtomicU64,
    pub(super) snapshot: Mutex<Totals>,
    /// The proxy's thread, and callers that do its work while they wait.
    pub(super) attendance: Arc<Attendance>,
    /// Bytes sent and received per NIC, for samplers.
    pub(super) live: Vec<[AtomicU64; 2]>,
    pub(super) local_ops: AtomicU64,
    pub(super) local_bytes: AtomicU64,
    pub(super) barriers: AtomicU64,
    /// Every PE has said that nothing is under way any more.
    pub(super) settled: AtomicBool,
    /// Answers to fetches and gets.
    pub(super) answers: Arc<Answers>,
    /// PEs that the quiet under way waits for.
    pub(super) waited_for: Mutex<Vec<u32>>,
    /// What happens to this PE's NICs, until somebody takes it.
    incidents: Mutex<Option<Receiver<Incident>>>,
}

impl Shared {
    pub(super) fn new(nics: usize, incidents: Receiver<Incident>) -> Self {
        Self {
            live: (0..nics).map(|_| <[AtomicU64; 2]>::default()).collect(),
            incidents: Mutex::new(Some(incidents)),
            ..Self::default()
        }
    }

    /// What happens to this PE's NICs from the start on, until the proxy ends; for the first who asks.
    #[must_use]
    pub fn incidents(&self) -> Option<Receiver<Incident>> {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Last quiet ticket that is done.
    #[must_use]
    pub fn quiet_done(&self) -> u64 {
        self.quiet_done.load(Ordering::Acquire)
    }

    /// Last snapshot ticket that is done.
    #[must_use]
    pub fn snapshot_done(&self) -> u64 {
        self.snapshot_done.load(Ordering::Acquire)
    }

    /// The totals of the last snapshot.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Payload bytes (sent, received) of each NIC so far, without disturbing the proxy.
    #[must_use]
    pub fn live_bytes(&self) -> Vec<[u64; 2]> {
        self.live.iter().map(|pair| pair.each_ref().map(|bytes| bytes.load(Ordering::Relaxed))).collect()
    }

    /// Where the answers to fetches and gets arrive.
    #[must_use]
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// PEs that the last quiet, or a command that found no room, was still waiting for; a tenth of a second old at most.
    #[must_use]
    pub fn waited_for(&self) -> Vec<u32> {
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A number that changes whenever payload moves, through a NIC or on this node.
    pub(in crate::transport) fn moved(&self) -> u64 {
        let local = self.local_ops.load(Ordering::Relaxed);
        self.live.iter().flatten().fold(local, |sum, bytes| sum.wrapping_add(bytes.load(Ordering::Relaxed)))
    }

    /// Counts a put to a PE of the same node.
    pub(in crate::transport) fn count_local(&self, bytes: u64) {
        self.local_ops.fetch_add(1, Ordering::Relaxed);
        self.local_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a barrier; only the caller's thread does.
    pub(in crate::transport) fn count_barrier(&self) {
        self.barriers.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that no PE has anything under way: from here on NICs can be closed.
    pub(in crate::transport) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// Wakes the proxy's thread if it rests. Called after a command is in the ring.
    pub fn wake(&self) {
        self.attendance.wake();
    }
}

/// Everything counted since the proxy began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Per own NIC.
    pub nics: Vec<NicCounts>,
    /// Payload bytes sent to each NIC of each PE.
    pub sent: Vec<Vec<u64>>,
    /// Target completions seen while probing, and how many of them had the right length.
    pub probes: (u64, u64),
}
