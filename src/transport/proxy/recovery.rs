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

use std::collections::{BTreeMap, BTreeSet};

use super::Proxy;
use super::lane::Lane;
use super::state::News;
use crate::transport::group::log::What;
use crate::transport::nic::{Failed, Nic, NicError, PeerNic};
use crate::transport::select::Route;
use crate::transport::wire::{Progress, Record, Released};

/// How often the ways are looked at, in parts of the time after which a NIC is suspected.
const LOOKS: u64 = 8;

/// How much longer something may wait on a way between two NICs that both seem to work.
const LONE_WAY: u64 = 8;

/// How long what failed after a fence may stay unreleased before it counts as a failure, at least.
const DOUBT_MS: u64 = 1_000;

/// A count, and when it last changed.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    count: u32,
    at_ms: u64,
}

impl Seen {
    fn update(&mut self, count: u32, now_ms: u64) {
        if count != self.count {
            *self = Self { count, at_ms: now_ms };
        }
    }
}

/// What is known about one target.
#[derive(Debug, Default)]
struct Watch {
    /// Low mark when it last moved, and when that was.
    low: u64,
    moved_ms: u64,
    /// Ways on which an operation has failed.
    failed: Vec<Route>,
    /// Ways on which something failed that may have been under way to an endpoint that is no more.
    doubted: Vec<Route>,
    /// The question under way.
    nonce: u64,
    attempts: u32,
    /// Things said to it: the second way of each is another one.
    said: u32,
    /// When the first answer came.
    since_ms: Option<u64>,
    /// By number of the NIC: what came through the target's, and by this PE's.
    through: Vec<Seen>,
    by: Vec<Seen>,
    /// NICs of the target that are to be fenced.
    fences: BTreeSet<u16>,
}

impl Watch {
    /// Whether nothing but time gives reason to ask.
    fn is_calm(&self) -> bool {
        self.failed.is_empty() && self.doubted.is_empty() && self.fences.is_empty()
    }
}

/// One of this PE's NICs as others must see it.
#[derive(Debug, Clone, Default)]
struct OwnNic {
    incarnation: u32,
    /// Its card, once it is not that of the start any more; empty when it is nowhere.
    card: Vec<u8>,
    /// Peers that do not know this incarnation yet, with what they had released here when it was fenced.
    untold: BTreeMap<u32, Released>,
    /// Opening it again has failed; to be tried again.
    shut: bool,
}

impl OwnNic {
    /// Whether nobody can write to it.
    fn card_is_gone(&self) -> bool {
        self.incarnation > 0 && self.card.is_empty()
    }
}

/// What a PE knows of failures.
#[derive(Debug)]
pub(super) struct Recovery {
    /// After how long without any sign a NIC is suspected; 0: never.
    patience_ms: u64,
    /// Whether NICs can be fenced at all.
    able: bool,
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

    fn known(&self, pe: u32, nic: u16) -> u32 {
        self.known.get(&(pe, nic)).copied().unwrap_or(0)
    }
}

impl<N: Nic> Proxy<N> {
    /// Whether the failure of a NIC can be survived on the way to `dst`.
    fn can_go_round(&self, dst: u32) -> bool {
        self.recovery.able && self.ways.has_choice(dst)
    }

    /// An operation of own NIC `nic` has failed.
    pub(super) fn operation_failed(&mut self, nic: u16, failed: Failed) -> Result<(), String> {
        let Failed { to, error, .. } = failed;
        if !self.can_go_round(to.pe) {
            return Err(error.to_string());
        }
        let forgiven = self.recovery.forgiven.get(&(to.pe, to.nic));
        let forgiven = forgiven.is_some_and(|&until| self.now_ms < until);
        let Some(watch) = self.recovery.watches.get_mut(to.pe as usize) else { return Ok(()) };
        let way = Route { local: nic, remote: to.nic };
        let ways = if forgiven { &mut watch.doubted } else { &mut watch.failed };
        if !ways.contains(&way) {
            ways.push(way);
            if !forgiven {
                self.recovery.next_look_ms = 0;
            }
        }
        Ok(())
    }

    /// Own NIC `nic` as a whole cannot go on.
    pub(super) fn nic_broke(&mut self, nic: u16, error: &NicError) -> Result<(), String> {
        if !self.recovery.able || self.lanes.len() < 2 {
            return Err(error.to_string());
        }
        self.shut(nic)?;
        self.fence(nic)?;
        // What it had under way is suspect everywhere.
        for (watch, pe) in self.recovery.watches.iter_mut().zip(0..) {
            let width = self.state.width(pe);
            watch.failed.extend((0..width).map(|remote| Route { local: nic, remote }));
            watch.failed.sort_unstable();
            watch.failed.dedup();
        }
        self.recovery.next_look_ms = 0;
        Ok(())
    }

    /// Shows in the counters that a NIC is closed, or open again.
    fn mark(&mut self, nic: u16, down: bool) {
        if let Some(lane) = self.lanes.get_mut(usize::from(nic)) {
            let counts = lane.counts_mut();
            counts.down = u64::from(down);
            counts.failures += u64::from(down);
        }
    }

    /// What is to be done about ways, once in a while.
    pub(super) fn look_after_ways(&mut self) -> Result<(), String> {
        let now = self.now_ms;
        if now < self.recovery.next_look_ms || !self.recovery.able {
            return Ok(());
        }
        let pause = match self.recovery.patience_ms {
            0 => 1_000,
            patience => (patience / LOOKS).max(1),
        };
        self.recovery.next_look_ms = now + pause;
        for dst in 0..self.place.pes {
            self.look_after(dst)?;
        }
        self.reopen_shut()?;
        self.announce();
        for probe in self.ways.probes_due(now) {
            let way = Route { local: probe.local, remote: probe.to.nic };
            self.urgent(probe.to.pe, way, &Record::Probe { nonce: probe.nonce });
        }
        Ok(())
    }

    fn look_after(&mut self, dst: u32) -> Result<(), String> {
        let (now, patience) = (self.now_ms, self.recovery.patience_ms);
        let (low, settled) = (self.state.outbound(dst)?.low(), self.state.outbound(dst)?.is_settled());
        let possible = self.can_go_round(dst);
        let Some(watch) = self.recovery.watches.get_mut(dst as usize) else { return Ok(()) };
        if settled || low != watch.low {
            (watch.low, watch.moved_ms) = (low, now);
            if settled {
                watch.failed.clear();
                watch.doubted.clear();
                watch.fences.clear();
            }
            if watch.is_calm() {
                (watch.nonce, watch.attempts, watch.since_ms) = (0, 0, None);
                return Ok(());
            }
        }
        let overdue = patience > 0 && now.saturating_sub(watch.moved_ms) >= patience;
        if !possible || !overdue && watch.is_calm() {
            return Ok(());
        }
        if watch.nonce == 0 {
            self.recovery.nonce += 1;
            watch.nonce = self.recovery.nonce;
        }
        let (nonce, attempts) = (watch.nonce, watch.attempts);
        let fences: Vec<_> = watch.fences.iter().copied().collect();
        watch.attempts = watch.attempts.wrapping_add(1);
        for way in self.ways.every_nic(dst, attempts) {
            self.urgent(dst, way, &Record::Ask { nonce });
            for &nic in &fences {
                let incarnation = self.recovery.known(dst, nic);
                self.urgent(dst, way, &Record::Fence { nic, incarnation });
            }
        }
        Ok(())
    }

    /// Takes in what others have said.
    pub(super) fn hear_news(&mut self) -> Result<(), String> {
        for (pe, news) in std::mem::take(&mut self.state.news) {
            match news {
                News::Ask { nonce } => {
                    let (released, progress) = (self.state.released(pe), self.state.progress(pe));
                    self.tell(pe, &Record::State { nonce, released, progress });
                }
                News::State { nonce, released, progress } => self.judge(pe, nonce, &released, &progress)?,
                News::Fence { nic, incarnation } => {
                    let Some(own) = self.recovery.own.get_mut(usize::from(nic)) else { continue };
                    if own.incarnation == incarnation {
                        if self.may_fence(nic) {
                            self.fence(nic)?;
                        }
                    } else if own.incarnation > incarnation {
                        own.untold.entry(pe).or_insert_with(|| self.state.released(pe));
                    }
                    self.announce();
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
                    let (own, _) =
                        self.ways.echo(nonce, |nic| lanes.get(usize::from(nic)).is_some_and(Lane::is_usable));
                    if let Some(nic) = own {
                        self.mark(nic, false);
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

    /// Judges by a peer's answer which of its NICs do not get what is sent to them.
    fn judge(
        &mut self,
        pe: u32,
        nonce: u64,
        released: &Released,
        progress: &[Progress],
    ) -> Result<(), String> {
        let (now, patience) = (self.now_ms, self.recovery.patience_ms);
        self.state
            .outbound(pe)?
            .acknowledged(released.low)
            .map_err(|violation| format!("PE {pe}: {violation}"))?;
        let waiting = self.waiting(pe, released)?;
        let Some(watch) =
            self.recovery.watches.get_mut(pe as usize).filter(|watch| watch.nonce == nonce && nonce != 0)
        else {
            return Ok(());
        };
        // What failed and has been released all the same needs nothing more.
        watch.failed.retain(|way| waiting.contains_key(way));
        watch.doubted.retain(|way| waiting.contains_key(way));
        let first = watch.since_ms.is_none();
        let since = *watch.since_ms.get_or_insert(now);
        for seen in [&mut watch.through, &mut watch.by] {
            seen.resize(progress.len(), Seen::default());
        }
        for (nic, (through, by)) in progress.iter().zip(watch.through.iter_mut().zip(&mut watch.by)) {
            if first {
                (through.at_ms, by.at_ms) = (now, now);
                (through.count, by.count) = (nic.through, nic.by);
            }
            through.update(nic.through, now);
            by.update(nic.by, now);
        }
        let is_still = |seen: &[Seen], nic: u16| {
            let seen = seen.get(usize::from(nic)).copied().unwrap_or_default();
            patience > 0 && now.saturating_sub(seen.at_ms) >= patience
        };
        let mut suspects = Vec::new();
        for (&way, &at_ms) in &waiting {
            let moves = self.lanes.get(usize::from(way.local));
            let moves = moves.is_some_and(|lane| lane.has_moved_since(now.saturating_sub(patience)));
            let ours = is_still(&watch.by, way.local) && !moves;
            let theirs = is_still(&watch.through, way.remote);
            let overdue = patience > 0 && now.saturating_sub(since.max(at_ms)) >= LONE_WAY * patience;
            let confirmed = watch.doubted.contains(&way)
                && now.saturating_sub(since.max(at_ms)) >= patience.max(DOUBT_MS);
            if ours || theirs || overdue || confirmed || watch.failed.contains(&way) {
                suspects.push((way, ours, theirs));
            }
        }
        suspects.into_iter().try_for_each(|(way, ours, theirs)| self.suspect(pe, way, ours, theirs))
    }

    /// By way: since when something has been posted to `pe` that is not released. What still waits in a queue here says
    /// nothing about the way.
    fn waiting(&mut self, pe: u32, released: &Released) -> Result<BTreeMap<Route, u64>, String> {
        let mut found: BTreeMap<Route, (u64, usize, usize)> = BTreeMap::new();
        for sent in self.state.outbound(pe)?.log().iter().filter(|sent| !released.contains(sent.seq)) {
            let (since, pieces, records) = found.entry(sent.route).or_insert((sent.at_ms, 0, 0));
            *since = (*since).min(sent.at_ms);
            match sent.what {
                What::Piece(_) => *pieces += 1,
                What::Data(..) | What::Close(_) => *records += 1,
            }
        }
        found.retain(|way, (_, pieces, records)| {
            let to = PeerNic { pe, nic: way.remote };
            let queued = self.lanes.get(usize::from(way.local)).map_or((0, 0), |lane| lane.queued(to));
            *pieces > queued.0 || *records > 0 && queued.1 == 0
        });
        Ok(found.into_iter().map(|(way, (since, ..))| (way, since)).collect())
    }

    /// Takes a way for broken: has the peer's NIC fenced, and closes what is at fault, here or there, until it proves to
    /// work. Where nothing says who is at fault both are closed.
    fn suspect(&mut self, pe: u32, way: Route, ours: bool, theirs: bool) -> Result<(), String> {
        let Some(watch) = self.recovery.watches.get_mut(pe as usize) else { return Ok(()) };
        if watch.fences.insert(way.remote) {
            self.recovery.next_look_ms = 0;
        }
        if theirs || !ours {
            self.ways.close_peer(PeerNic { pe, nic: way.remote }, self.now_ms);
        }
        if ours || !theirs { self.shut(way.local) } else { Ok(()) }
    }

    /// Closes own NIC `nic`: what waits in its queue goes over others.
    fn shut(&mut self, nic: u16) -> Result<(), String> {
        if !self.ways.close(nic, self.now_ms) {
            return Ok(());
        }
        self.mark(nic, true);
        (0..self.place.pes).for_each(|pe| self.state.owe_again(pe));
        let waiting = self.lanes.get_mut(usize::from(nic)).map(Lane::take_queue).unwrap_or_default();
        waiting.into_iter().try_for_each(|out| self.divert(nic, out))
    }

    /// Whether own NIC `nic` can be fenced now. Every peer must know a NIC of this PE as it is: if two PEs fenced all of
    /// their NICs before hearing of each other's, neither could tell the other any more. Who asked will ask again.
    fn may_fence(&self, nic: u16) -> bool {
        let others = || (0..).zip(&self.recovery.own).filter(|&(other, _)| other != nic).map(|(_, own)| own);
        let known_to = |pe| others().any(|own| !own.card_is_gone() && !own.untold.contains_key(&pe));
        self.ways.may_be_deaf() || (0..self.place.pes).filter(|&pe| pe != self.place.me).all(known_to)
    }

    /// Fences own NIC `nic` and has everybody told.
    fn fence(&mut self, nic: u16) -> Result<(), String> {
        let Some(lane) = self.lanes.get_mut(usize::from(nic)) else { return Ok(()) };
        let mut failed = Vec::new();
        let card = lane.fence(nic, &mut self.state, self.now_ms, &mut failed);
        let retry = self.recovery.own.get(usize::from(nic)).is_some_and(|own| own.shut);
        if retry && card.is_err() {
            // Everybody knows that it is nowhere.
            return Ok(());
        }
        lane.counts_mut().fences += 1;
        for failed in failed {
            self.operation_failed(nic, failed)?;
        }
        if let Some(violation) = self.state.violation.take() {
            return Err(violation);
        }
        // Only now: what landed before the fence has just been counted.
        self.state.forget(nic);
        let me = self.place.me;
        let released: BTreeMap<_, _> =
            (0..self.place.pes).filter(|&pe| pe != me).map(|pe| (pe, self.state.released(pe))).collect();
        let Some(own) = self.recovery.own.get_mut(usize::from(nic)) else { return Ok(()) };
        own.incarnation += 1;
        own.shut = card.is_err();
        own.card = card.unwrap_or_default();
        own.untold = released;
        Ok(())
    }

    /// Tries once more to open NICs that could not be opened after their fence.
    fn reopen_shut(&mut self) -> Result<(), String> {
        let shut: Vec<_> =
            (0..).zip(&self.recovery.own).filter_map(|(nic, own)| own.shut.then_some(nic)).collect();
        shut.into_iter().try_for_each(|nic| self.fence(nic))
    }

    /// Tells those who do not know yet that a NIC of this PE has a new incarnation.
    fn announce(&mut self) {
        for nic in 0..self.recovery.own.len() {
            let Some(own) = self.recovery.own.get(nic).filter(|own| !own.untold.is_empty()) else { continue };
            let OwnNic { incarnation, card, untold, .. } = own.clone();
            let Ok(nic) = u16::try_from(nic) else { continue };
            for (pe, released) in untold {
                self.tell(pe, &Record::Card { nic, incarnation, released, card: &card });
            }
        }
    }

    /// A NIC of another PE has been fenced and has a new incarnation: what was under way to it is sent again.
    fn follow(
        &mut self,
        at: PeerNic,
        incarnation: u32,
        released: &Released,
        card: &[u8],
    ) -> Result<(), String> {
        if at.nic >= self.state.width(at.pe) {
            return Err(format!("PE {} speaks of its NIC {}, which does not exist", at.pe, at.nic));
        }
        if incarnation <= self.recovery.known(at.pe, at.nic) {
            self.tell(at.pe, &Record::CardSeen { nic: at.nic, incarnation });
            return Ok(());
        }
        self.recovery.known.insert((at.pe, at.nic), incarnation);
        let until = self.now_ms + self.recovery.patience_ms.max(DOUBT_MS);
        self.recovery.forgiven.insert((at.pe, at.nic), until);
        for lane in &mut self.lanes {
            lane.purge(at);
            if !card.is_empty() {
                lane.nic().redirect(at, card).map_err(|error| format!("PE {}: {error}", at.pe))?;
            }
        }
        if card.is_empty() {
            self.ways.close_peer(at, self.now_ms);
        }
        // Acknowledgements that were under way to it are lost.
        self.state.owe_again(at.pe);
        let outbound = self.state.outbound(at.pe)?;
        outbound.acknowledged(released.low).map_err(|violation| format!("PE {}: {violation}", at.pe))?;
        let lost = outbound.lost(at.nic, released);
        if let Some(watch) = self.recovery.watches.get_mut(at.pe as usize) {
            watch.fences.remove(&at.nic);
            watch.failed.retain(|way| way.remote != at.nic);
            watch.doubted.retain(|way| way.remote != at.nic);
            (watch.moved_ms, watch.nonce, watch.since_ms) = (self.now_ms, 0, None);
        }
        self.send_again(at.pe, lost)?;
        self.tell(at.pe, &Record::CardSeen { nic: at.nic, incarnation });
        Ok(())
    }

    /// Where everything stands, for tests that do not end.
    #[cfg(test)]
    pub(super) fn describe(&self) -> String {
        let lanes: Vec<_> =
            self.lanes.iter().map(|lane| (lane.waiting(), lane.is_busy(), lane.load())).collect();
        let unsettled: Vec<_> = self.state.unsettled().collect();
        format!(
            "PE {} at {} ms: quiets {:?}, stalled {:?}, unsettled {unsettled:?}, lanes {lanes:?}\n  {:?}\n  {:?}",
            self.place.me, self.now_ms, self.quiets, self.stalled, self.ways, self.recovery
        )
    }
}
