//! Quiets: saying when everything that was posted before has landed.
//!
//! The caller's holds its own later commands back, as it waits for it anyway. Those of a GPU's rings hold nothing back: each
//! has a mark of what had been sent when it began, and whatever is posted meanwhile, into the same ring, too, goes on.

use std::sync::atomic::Ordering;

use super::Proxy;
use super::lane::Lane;
use super::state::State;
use crate::transport::nic::Nic;

/// What had been sent at some time.
#[derive(Debug, Default)]
struct Mark {
    /// By PE: groups started.
    groups: Vec<u64>,
    /// By NIC: pieces pushed.
    pieces: Vec<u64>,
}

impl Mark {
    fn set<N: Nic>(&mut self, state: &State, lanes: &[Lane<N>]) {
        self.groups.clear();
        self.groups.extend(state.sent_so_far());
        self.pieces.clear();
        self.pieces.extend(lanes.iter().map(Lane::pushed_pieces));
    }

    /// Whether all of it has landed. What other PEs get here meanwhile does not count: it may have no end.
    fn has_landed(&self, state: &State) -> bool {
        (0..).zip(&self.groups).all(|(pe, &groups)| state.has_landed_at(pe, groups))
    }

    /// Whether as many pieces have completed here, too: only then do both sides' counters agree.
    fn is_complete<N: Nic>(&self, lanes: &[Lane<N>]) -> bool {
        lanes.iter().zip(&self.pieces).all(|(lane, &pushed)| lane.has_finished(pushed))
    }
}

/// The caller's quiet.
#[derive(Debug)]
struct Asked {
    ticket: u64,
    /// The PE it is about, or all.
    pe: Option<u32>,
    mark: Mark,
}

/// The quiets of one of a GPU's rings. Many of its threads may ask for one at a time; while one is under way all that come
/// are answered together by the next, so that what there is to remember has a bound. Each is named by the number of
/// descriptors posted with it.
#[derive(Debug, Default)]
struct OfRing {
    under_way: Option<u64>,
    next: Option<u64>,
    mark: Mark,
}

/// All quiets under way.
#[derive(Debug, Default)]
pub(super) struct Quiets {
    caller: Option<Asked>,
    rings: Vec<OfRing>,
    /// Rings that have one.
    asking: usize,
}

impl Quiets {
    /// Whether the caller's later commands have to wait.
    #[inline]
    pub(super) fn hold_caller(&self) -> bool {
        self.caller.is_some()
    }

    /// Whether a ring waits for one.
    pub(super) fn are_asked_by_rings(&self) -> bool {
        self.asking > 0
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.caller.is_none() && self.asking == 0
    }
}

impl<N: Nic> Proxy<N> {
    /// The caller asks for one about a PE, or all.
    pub(super) fn begin_quiet(&mut self, ticket: u64, pe: Option<u32>) -> Result<(), String> {
        self.counts.quiets += 1;
        self.flush(pe)?;
        let mut mark = Mark::default();
        mark.set(&self.state, &self.lanes);
        self.quiets.caller = Some(Asked { ticket, pe, mark });
        self.held.look();
        Ok(())
    }

    /// A ring asks for one by its `posted`th descriptor.
    pub(super) fn begin_ring_quiet(&mut self, ring: u32, posted: u64) -> Result<(), String> {
        self.counts.quiets += 1;
        let index = ring as usize;
        if self.quiets.rings.len() <= index {
            self.quiets.rings.resize_with(index + 1, OfRing::default);
        }
        let Some(of_ring) = self.quiets.rings.get_mut(index) else { return Ok(()) };
        if of_ring.under_way.is_some() {
            of_ring.next = Some(posted);
            return Ok(());
        }
        of_ring.under_way = Some(posted);
        self.quiets.asking += 1;
        self.mark_ring_quiet(index)
    }

    /// From here on it is known what the quiet under way in a ring waits for.
    fn mark_ring_quiet(&mut self, index: usize) -> Result<(), String> {
        self.flush(None)?;
        if let Some(of_ring) = self.quiets.rings.get_mut(index) {
            of_ring.mark.set(&self.state, &self.lanes);
        }
        Ok(())
    }

    /// Has all that was sent to one PE, or all of them, acknowledged as soon as it has landed.
    pub(super) fn flush(&mut self, pe: Option<u32>) -> Result<(), String> {
        match pe {
            Some(pe) => self.close_all(pe),
            None => (0..self.place.pes).try_for_each(|dst| self.close_all(dst)),
        }
    }

    /// Reports quiets done for which everything is settled.
    #[inline]
    pub(super) fn settle_quiets(&mut self) -> Result<(), String> {
        if self.quiets.caller.is_some() {
            self.settle_caller();
        }
        if self.quiets.asking > 0 { self.settle_rings() } else { Ok(()) }
    }

    fn settle_caller(&mut self) {
        let Some(Asked { ticket, pe, mark }) = &self.quiets.caller else { return };
        let settled = match *pe {
            Some(pe) => {
                let groups = mark.groups.get(pe as usize).copied().unwrap_or(0);
                self.state.is_answered_by(pe) && self.state.has_landed_at(pe, groups)
            }
            None => {
                (0..self.place.pes).all(|pe| self.state.is_answered_by(pe))
                    && mark.has_landed(&self.state)
                    && self.is_complete(mark)
            }
        };
        if settled {
            self.shared.quiet_done.store(*ticket, Ordering::Release);
            self.quiets.caller = None;
            self.state.wake = true;
        }
    }

    /// A NIC that has failed may complete nothing for long, but what it had has landed by another way.
    fn is_complete(&self, mark: &Mark) -> bool {
        self.recovery.has_acted() || mark.is_complete(&self.lanes)
    }

    fn settle_rings(&mut self) -> Result<(), String> {
        for (index, ring) in (0..self.quiets.rings.len()).zip(0..) {
            let Some(OfRing { under_way: Some(posted), mark, .. }) = self.quiets.rings.get(index) else {
                continue;
            };
            // What the caller has asked of others is no matter of a kernel's.
            if !mark.has_landed(&self.state) || !self.is_complete(mark) {
                continue;
            }
            self.rings.quiet_done(ring, *posted);
            let Some(of_ring) = self.quiets.rings.get_mut(index) else { continue };
            of_ring.under_way = of_ring.next.take();
            if of_ring.under_way.is_some() {
                self.mark_ring_quiet(index)?;
            } else {
                self.quiets.asking -= 1;
            }
        }
        Ok(())
    }
}
