//! Quiets: saying when everything that was posted before has landed.

use std::sync::atomic::Ordering;

use super::Proxy;
use super::lane::Lane;
use crate::transport::nic::Nic;

/// A quiet under way: what it waits for is what had been sent when it began.
#[derive(Debug)]
pub(super) struct Quiet {
    pub(super) asker: Asker,
    /// The PE it is about, or all.
    pe: Option<u32>,
    /// By PE: groups started.
    groups: Vec<u64>,
    /// By NIC: pieces pushed.
    pieces: Vec<u64>,
}

/// Who waits for a quiet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asker {
    /// The caller, for this ticket.
    Caller { ticket: u64 },
    /// A GPU, in this ring.
    Ring { ring: u32, posted: u64 },
}

impl<N: Nic> Proxy<N> {
    pub(super) fn begin_quiet(&mut self, asker: Asker, pe: Option<u32>) -> Result<(), String> {
        self.counts.quiets += 1;
        self.close_all_plain(pe, true)?;
        let groups = self.state.sent_so_far();
        let pieces = self.lanes.iter().map(Lane::pushed_pieces).collect();
        self.quiet = Some(Quiet { asker, pe, groups, pieces });
        Ok(())
    }

    /// Closes the groups that plain puts share, towards one PE or all.
    pub(super) fn close_all_plain(&mut self, pe: Option<u32>, flush: bool) -> Result<(), String> {
        match pe {
            Some(pe) => self.close_plain(pe, flush),
            None => (0..self.place.pes).try_for_each(|dst| self.close_plain(dst, flush)),
        }
    }

    /// Reports a quiet done when everything is settled.
    pub(super) fn settle_quiet(&mut self) {
        let Some(Quiet { asker, pe, groups, pieces }) = &self.quiet else { return };
        let asker = *asker;
        // What other PEs get here meanwhile does not count: it may have no end.
        let settled = match *pe {
            Some(pe) => self.state.is_settled_with(pe, groups.get(pe as usize).copied().unwrap_or(0)),
            // Landed there and completed here: only then do both sides' counters agree. A NIC that has failed may
            // complete nothing for long, but what it had has landed by another way.
            None => {
                (0..).zip(groups).all(|(pe, &mark)| self.state.is_settled_with(pe, mark))
                    && (self.recovery.has_acted()
                        || self.lanes.iter().zip(pieces).all(|(lane, &pushed)| lane.has_finished(pushed)))
            }
        };
        if settled {
            self.quiet = None;
            match asker {
                Asker::Caller { ticket } => {
                    self.shared.quiet_done.store(ticket, Ordering::Release);
                    self.state.wake = true;
                }
                Asker::Ring { ring, posted } => self.rings.quiet_done(ring, posted),
            }
        }
    }
}
