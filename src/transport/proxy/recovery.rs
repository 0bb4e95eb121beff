//! When a NIC fails: finding out, fencing, sending again, and taking it back.
//!
//! Nothing is ever sent again before the *receiver* has fenced the NIC it was sent to: closed the endpoint, so that what
//! is still under way (in a socket of an interface that is down, say) can never land, and opened another. Then the
//! receiver forgets what had landed through that NIC for groups that are still open, says so to everybody, and every
//! sender sends that part again, over NICs that work. So each piece is counted once and nothing old lands later.
//!
//! Suspicion starts with a sender: an operation failed, or nothing of a peer's has been released for a while. It asks the
//! peer, by every one of its NICs and at every one of the peer's, what has arrived. If the peer answers, and nothing has
//! come by one of the NICs for as long, that NIC is at fault; what waits at the peer's end is fenced. A peer that does
//! not answer is no matter of NICs: the rendezvous watches over it.
//! Being wrong costs bandwidth, never data.

mod fencing;
mod resend;
mod suspicion;

use std::collections::BTreeMap;

use fencing::OwnNic;
use suspicion::Watch;

use super::Proxy;
use super::lane::Lane;
use super::state::News;
use crate::transport::incident::Happened;
use crate::transport::nic::{Nic, PeerNic};
use crate::transport::select::Route;
use crate::transport::wire::Record;

/// How often the ways are looked at, in parts of the time after which a NIC is suspected.
const LOOKS: u64 = 8;

/// Shortest time between two looks. What a look has asked may fail as well: if that were reason to look again at once, nothing
/// but questions would go out by a NIC that takes few.
const SOON_MS: u64 = 10;

/// What a PE knows of failures.
#[derive(Debug)]
pub(super) struct Recovery {
    /// After how long without any sign a NIC is suspected; 0: never.
    patience_ms: u64,
    /// Whether NICs can be fenced at all.
    able: bool,
    looked_ms: u64,
    next_look_ms: u64,
    watches: Vec<Watch>,
    own: Vec<OwnNic>,
    /// Incarnations of others' NICs, where not 0.
    known: BTreeMap<(u32, u16), u32>,
    /// Others' NICs that have just been fenced: until then, what fails on the way to them was under way before.
    forgiven: BTreeMap<(u32, u16), u64>,
    nonce: u64,
}

impl Recovery {
    pub(super) fn new(pes: usize, own: usize, patience_ms: u64, able: bool) -> Self {
        Self {
            patience_ms,
            able,
            looked_ms: 0,
            next_look_ms: 0,
            watches: (0..pes).map(|_| Watch::default()).collect(),
            own: vec![OwnNic::default(); own],
            known: BTreeMap::new(),
            forgiven: BTreeMap::new(),
            nonce: 0,
        }
    }

    /// Whether any NIC has been fenced, here or at another PE.
    pub(super) fn has_acted(&self) -> bool {
        !self.known.is_empty() || self.own.iter().any(|own| own.incarnation > 0)
    }

    /// Time between two looks while there is no news.
    fn pause_ms(&self) -> u64 {
        match self.patience_ms {
            0 => 1_000,
            patience => (patience / LOOKS).max(1),
        }
    }

    /// Something has failed: the ways are looked at soon.
    fn look_soon(&mut self) {
        let soon = self.looked_ms.saturating_add(self.pause_ms().min(SOON_MS));
        self.next_look_ms = self.next_look_ms.min(soon);
    }

    fn known(&self, pe: u32, nic: u16) -> u32 {
        self.known.get(&(pe, nic)).copied().unwrap_or(0)
    }
}

impl<N: Nic> Proxy<N> {
    /// Whether the failure of a NIC can be survived on the way to `dst`.
    fn can_go_round(&self, dst: u32) -> bool {
        self.recovery.able && self.ways.has_choice(dst)
    }

    /// Shows in the counters that a NIC is closed, or open again.
    fn mark(&mut self, nic: u16, down: bool) {
        if let Some(lane) = self.lanes.get_mut(usize::from(nic)) {
            let counts = lane.counts_mut();
            counts.down = u64::from(down);
            counts.failures += u64::from(down);
        }
    }

    fn nic_name(&self, nic: u16) -> String {
        self.lanes.get(usize::from(nic)).map(|lane| lane.name().to_owned()).unwrap_or_default()
    }

    /// Tells who wants to hear it what happened to own NIC `nic`.
    fn happened(&mut self, nic: u16, what: Happened) {
        let name = self.nic_name(nic);
        self.teller.tell(&name, what);
    }

    /// What is to be done about ways, once in a while.
    pub(super) fn look_after_ways(&mut self) -> Result<(), String> {
        let now = self.now_ms;
        if now < self.recovery.next_look_ms || !self.recovery.able {
            return Ok(());
        }
        self.recovery.looked_ms = now;
        self.recovery.next_look_ms = now.saturating_add(self.recovery.pause_ms());
        for dst in 0..self.place.pes {
            self.look_after(dst)?;
        }
        self.divert_from_closed()?;
        self.reopen_shut();
        self.announce();
        for probe in self.ways.probes_due(now) {
            let way = Route { local: probe.local, remote: probe.to.nic };
            self.urgent(probe.to.pe, way, &Record::Probe { nonce: probe.nonce });
        }
        Ok(())
    }

    /// Takes in what others have said.
    pub(super) fn hear_news(&mut self) -> Result<(), String> {
        for (pe, news) in std::mem::take(&mut self.state.news) {
            if !self.recovery.able && matches!(news, News::Fence { .. } | News::Card { .. }) {
                // All PEs know whether NICs can be fenced. Where an endpoint stays open whatever is asked, nothing may be sent again.
                return Err(format!("PE {pe} speaks of fencing NICs, which is not possible in this job"));
            }
            match news {
                News::Ask { nonce } => {
                    let (released, progress) = (self.state.released(pe), self.state.progress(pe));
                    self.tell(pe, &Record::State { nonce, released, progress });
                }
                News::State { nonce, released, progress } => self.judge(pe, nonce, &released, &progress)?,
                News::Fence { nic, incarnation } => {
                    let Some(own) = self.recovery.own.get_mut(usize::from(nic)) else { continue };
                    let is_current = own.incarnation == incarnation;
                    if own.incarnation > incarnation {
                        own.untold.entry(pe).or_insert_with(|| self.state.released(pe));
                        self.announce_to(pe, nic);
                    } else if is_current && self.may_fence(nic) {
                        self.happened(nic, Happened::Fenced { by: pe });
                        self.fence(nic)?;
                        self.announce();
                    } else if is_current && self.is_last_left(nic) {
                        // Nothing could be sent to it again, for ever.
                        return Err(format!(
                            "NIC {}: PE {pe} does not get through to it, and it is the last one that works here",
                            self.nic_name(nic)
                        ));
                    }
                }
                News::Card { nic, incarnation, released, card } => {
                    self.follow(PeerNic { pe, nic }, incarnation, &released, &card)?;
                }
                News::CardSeen { nic, incarnation } => {
                    if let Some(own) = self.recovery.own.get_mut(usize::from(nic))
                        && own.incarnation == incarnation
                    {
                        own.untold.remove(&pe);
                    }
                }
                News::Probe { nonce } => self.tell(pe, &Record::Echo { nonce }),
                News::Echo { nonce } => {
                    let lanes = &self.lanes;
                    let (own, _) = self
                        .ways
                        .echo(pe, nonce, |nic| lanes.get(usize::from(nic)).is_some_and(Lane::is_usable));
                    if let Some(nic) = own {
                        self.mark(nic, false);
                        self.happened(nic, Happened::Up);
                        self.divert_from_closed()?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Says something to another PE by the best way known.
    fn tell(&mut self, pe: u32, record: &Record<'_>) {
        let turn = self.recovery.watches.get_mut(pe as usize).map_or(0, |watch| {
            watch.said = watch.said.wrapping_add(1);
            watch.said
        });
        // Two ways, another pair each time: one of them may be broken without anybody knowing it yet.
        for way in self.ways.news_ways(pe, turn) {
            self.urgent(pe, way, record);
        }
    }

    /// Where everything stands, for tests that do not end.
    #[cfg(test)]
    pub(super) fn describe(&self) -> String {
        let lanes: Vec<_> =
            self.lanes.iter().map(|lane| (lane.waiting(), lane.is_busy(), lane.load())).collect();
        let unsettled: Vec<_> = self.state.unsettled().collect();
        format!(
            "PE {} at {} ms: quiets {:?}, held {:?}, unsettled {unsettled:?}, lanes {lanes:?}\n  {:?}\n  {:?}",
            self.place.me, self.now_ms, self.quiets, self.held, self.ways, self.recovery
        )
    }
}
