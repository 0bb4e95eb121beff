//! What a PE keeps of each other PE.

use crate::transport::group::{Inbound, Outbound};
use crate::transport::select::Route;
use crate::transport::wire::{MAX_NICS, Progress};

/// Another PE. All of it in one place: an operation looks it up once.
pub(in super::super) struct Peer {
    /// Its NICs, at least 1.
    pub(in super::super) width: u16,
    /// Groups towards it.
    pub(in super::super) outbound: Outbound,
    /// Groups from it.
    pub(in super::super) inbound: Inbound,
    /// NIC pair last used: flushes travel where the data did.
    pub(in super::super) last_route: Route,
    /// Payload bytes sent to each of its NICs.
    pub(super) sent: Vec<u64>,
    /// Fetches and gets asked of it and not yet answered.
    pub(super) asked: u64,
    /// Things that it has asked for and not been sent.
    pub(super) requested: u64,
    /// The last pass over what was asked in which something of its had to wait.
    pub(in super::super) waited_in: u64,
    /// It is among those that are owed an acknowledgement.
    pub(super) owed: bool,
    /// By own NIC: pieces and frames that have arrived.
    arrivals: Vec<u32>,
    /// By its NIC: frames that it has sent.
    heard: [u32; MAX_NICS],
}

impl Peer {
    /// One with `width` NICs, to which `most_pieces` may be under way, for a PE with `own` NICs.
    pub(super) fn new(width: u16, most_pieces: u64, own: usize) -> Self {
        Self {
            width: width.max(1),
            outbound: Outbound::new(most_pieces),
            inbound: Inbound::default(),
            last_route: Route::aligned(0),
            sent: vec![0; usize::from(width)],
            asked: 0,
            requested: 0,
            waited_in: 0,
            owed: false,
            arrivals: vec![0; own],
            heard: [0; MAX_NICS],
        }
    }

    /// Counts payload that goes to its NIC `nic`.
    #[inline]
    pub(in super::super) fn count_sent(&mut self, nic: u16, bytes: u64) {
        if let Some(total) = self.sent.get_mut(usize::from(nic)) {
            *total += bytes;
        }
    }

    /// Something has arrived through own NIC `nic`.
    pub(super) fn count_arrival(&mut self, nic: u16) {
        if let Some(count) = self.arrivals.get_mut(usize::from(nic)) {
            *count = count.wrapping_add(1);
        }
    }

    /// A frame has arrived that it has sent by its NIC `nic`.
    pub(super) fn hear(&mut self, nic: u16) {
        if let Some(count) = self.heard.get_mut(usize::from(nic)) {
            *count = count.wrapping_add(1);
        }
    }

    /// What has arrived, by number of the NIC.
    pub(super) fn progress(&self) -> Vec<Progress> {
        let at = |list: &[u32], nic: usize| list.get(nic).copied().unwrap_or(0);
        let nics = self.arrivals.len().max(usize::from(self.width));
        (0..nics).map(|nic| Progress { through: at(&self.arrivals, nic), by: at(&self.heard, nic) }).collect()
    }

    /// Whether all groups below `mark` towards it are released.
    pub(super) fn has_landed(&self, mark: u64) -> bool {
        self.outbound.low() >= mark
    }

    /// Whether everything asked of it is answered.
    pub(super) fn has_answered(&self) -> bool {
        self.asked == 0
    }

    /// Whether nothing is owed by it.
    pub(super) fn is_settled(&self) -> bool {
        self.has_landed(self.outbound.started()) && self.has_answered()
    }
}
