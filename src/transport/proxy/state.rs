//! The protocol state of a PE: groups towards and from every other PE, and what has been received on which NIC.

mod arrivals;
mod peer;

use std::collections::VecDeque;
use std::sync::Arc;

pub(super) use crate::transport::heap::reserved::{PROBE_BYTES, PROBE_SOURCE};
pub(super) use peer::Peer;

use crate::counters::RxSource;
use crate::transport::answers::Answers;
use crate::transport::event::Event;
use crate::transport::group::Outbound;
use crate::transport::heap::{Flush, Heap};
use crate::transport::wire::{Progress, Released};

/// Fetches and gets that one PE may have asked of another and not been answered.
const MOST_ASKED: u64 = 256;

/// What one NIC has received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) ops: u64,
    pub(super) bytes: u64,
    pub(super) signals: u64,
    pub(super) control_bytes: u64,
}

/// Something another PE has asked for and is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// The old value of a word.
    Answer { pe: u32, tag: u32, value: u64 },
    /// A part of this PE's heap.
    Get { pe: u32, remote: u64, local: u64, len: u64, tag: u32 },
}

impl Request {
    /// Who asked.
    pub(super) fn pe(self) -> u32 {
        match self {
            Self::Answer { pe, .. } | Self::Get { pe, .. } => pe,
        }
    }
}

/// What another PE says about ways and NICs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    Ask { nonce: u64 },
    State { nonce: u64, released: Released, progress: Vec<Progress> },
    Fence { nic: u16, incarnation: u32 },
    Card { nic: u16, incarnation: u32, released: Released, card: Vec<u8> },
    CardSeen { nic: u16, incarnation: u32 },
    Probe { nonce: u64 },
    Echo { nonce: u64 },
}

pub(super) struct State {
    me: u32,
    heap: Arc<Heap>,
    /// What makes bytes from NICs visible to a device, where that has to be done.
    flush: Option<Flush>,
    /// Bytes have come that have not been made so.
    unflushed: bool,
    answers: Arc<Answers>,
    peers: Vec<Peer>,
    received: Vec<Received>,
    /// How received bytes are known; `None` while probing.
    rx_source: RxSource,
    /// Whether closes carry bytes per NIC, because some PE knows its Rx no other way.
    pub(super) ledger: bool,
    /// Target completions seen while probing, and how many had the right length.
    pub(super) probes: (u64, u64),
    /// PEs that are owed an acknowledgement.
    owing: Vec<u32>,
    /// What other PEs have asked for.
    pub(super) requests: VecDeque<Request>,
    /// What other PEs have said about ways: (PE, what).
    pub(super) news: Vec<(u32, News)>,
    /// A waiter may have something to see.
    pub(super) wake: bool,
    /// What a peer did that it must not do.
    pub(super) violation: Option<String>,
}

impl State {
    /// For PE `me` with `own` NICs; of each PE the number of NICs, and how many pieces may be under way to it.
    pub(super) fn new(
        me: u32,
        others: &[(u16, u64)],
        own: usize,
        heap: Arc<Heap>,
        answers: Arc<Answers>,
    ) -> Self {
        Self {
            me,
            flush: heap.device().and_then(|part| part.flush.clone()),
            unflushed: false,
            heap,
            answers,
            peers: others.iter().map(|&(width, most_pieces)| Peer::new(width, most_pieces, own)).collect(),
            received: vec![Received::default(); own],
            rx_source: RxSource::None,
            ledger: false,
            probes: (0, 0),
            owing: Vec::new(),
            requests: VecDeque::new(),
            news: Vec::new(),
            wake: false,
            violation: None,
        }
    }

    /// Ends the probing; all counts start at zero.
    pub(super) fn start_counting(&mut self, source: RxSource, ledger: bool) {
        self.rx_source = source;
        self.ledger = ledger;
        self.received.fill(Received::default());
        self.peers.iter_mut().for_each(|peer| peer.sent.fill(0));
    }

    /// What is kept of PE `pe`, which something is to go to.
    #[inline]
    pub(super) fn peer(&mut self, pe: u32) -> Result<&mut Peer, String> {
        match self.peers.get_mut(pe as usize) {
            Some(peer) => Ok(peer),
            None => Err(no_such_target(self.me, pe)),
        }
    }

    /// Groups towards PE `dst`.
    #[inline]
    pub(super) fn outbound(&mut self, dst: u32) -> Result<&mut Outbound, String> {
        self.peer(dst).map(|peer| &mut peer.outbound)
    }

    /// NICs of `pe`, at least 1.
    #[inline]
    pub(super) fn width(&self, pe: u32) -> u16 {
        self.peers.get(pe as usize).map_or(1, |peer| peer.width)
    }

    /// Payload bytes sent to each NIC of each PE.
    pub(super) fn sent(&self) -> Vec<Vec<u64>> {
        self.peers.iter().map(|peer| peer.sent.clone()).collect()
    }

    /// A fetch or get goes to `dst`: an answer will come.
    pub(super) fn count_asked(&mut self, dst: u32) {
        if let Some(peer) = self.peers.get_mut(dst as usize) {
            peer.asked += 1;
        }
    }

    /// By PE: groups started towards it.
    pub(super) fn sent_so_far(&self) -> impl Iterator<Item = u64> {
        self.peers.iter().map(|peer| peer.outbound.started())
    }

    /// Whether all groups below `mark` towards `pe` are released there.
    pub(super) fn has_landed_at(&self, pe: u32, mark: u64) -> bool {
        self.peers.get(pe as usize).is_none_or(|peer| peer.has_landed(mark))
    }

    /// Whether everything asked of `pe` is answered.
    pub(super) fn is_answered_by(&self, pe: u32) -> bool {
        self.peers.get(pe as usize).is_none_or(Peer::has_answered)
    }

    /// Whether another fetch or get may be asked of `pe`: it has to remember each until it is answered.
    pub(super) fn may_ask(&self, pe: u32) -> bool {
        self.peers.get(pe as usize).is_none_or(|peer| peer.asked < MOST_ASKED)
    }

    /// What has been acknowledged to `pe` may not have reached it: it is said once more.
    pub(super) fn owe_again(&mut self, pe: u32) {
        if self.peers.get_mut(pe as usize).is_some_and(|peer| peer.inbound.forget_acks()) {
            self.owe(pe);
        }
    }

    /// An acknowledgement is owed to `pe`.
    fn owe(&mut self, pe: u32) {
        if let Some(peer) = self.peers.get_mut(pe as usize)
            && !std::mem::replace(&mut peer.owed, true)
        {
            self.owing.push(pe);
        }
    }

    /// PEs that something is still owed by.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = u32> {
        let all = (0..).zip(&self.peers);
        all.filter(|(_, peer)| !peer.is_settled()).map(|(pe, _)| pe)
    }

    pub(super) fn received(&self, nic: usize) -> Received {
        self.received.get(nic).copied().unwrap_or_default()
    }

    /// What has arrived from `pe`, by number of the NIC.
    pub(super) fn progress(&self, pe: u32) -> Vec<Progress> {
        self.peers.get(pe as usize).map(Peer::progress).unwrap_or_default()
    }

    /// Which of the groups of `pe` are released here.
    pub(super) fn released(&self, pe: u32) -> Released {
        self.peers.get(pe as usize).map_or(Released::below(0), |peer| peer.inbound.released())
    }

    /// Own NIC `nic` has been fenced: what landed through it for open groups does not count any more.
    pub(super) fn forget(&mut self, nic: u16) {
        self.peers.iter_mut().for_each(|peer| peer.inbound.forget(nic));
    }

    /// Tells everyone who waits on this heap to look again.
    pub(super) fn notify(&self) {
        if let Ok(event) = Event::of(&self.heap) {
            event.notify();
        }
    }

    /// Takes the acknowledgements that are due in this turn: (PE, low mark).
    pub(super) fn take_acks(&mut self, now_ns: u64, acks: &mut Vec<(u32, u64)>) {
        if self.owing.is_empty() {
            return;
        }
        let peers = &mut self.peers;
        self.owing.retain(|&src| {
            let Some(peer) = peers.get_mut(src as usize) else { return false };
            if let Some(low) = peer.inbound.take_ack(now_ns) {
                acks.push((src, low));
            }
            peer.owed = peer.inbound.owes_ack();
            peer.owed
        });
    }

    pub(super) fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }
}

#[cold]
fn no_such_target(me: u32, dst: u32) -> String {
    format!("PE {me} was asked to write to PE {dst}, which does not exist")
}
