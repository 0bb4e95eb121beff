//! Finding out which NIC is at fault: what failed or was not released, and what the peer says has arrived.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use super::Proxy;
use crate::transport::group::log::What;
use crate::transport::incident::Happened;
use crate::transport::nic::{Failed, Nic, PeerNic};
use crate::transport::select::Route;
use crate::transport::wire::{Progress, Record, Released};

/// How much longer something may wait on a way between two NICs that both seem to work.
const LONE_WAY: u64 = 8;

/// How long what failed after a fence may stay unreleased before it counts as a failure, at least.
pub(super) const DOUBT_MS: u64 = 1_000;

/// A count, and when it last changed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
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
pub(super) struct Watch {
    /// Low mark when it last moved, and when that was.
    low: u64,
    pub(super) moved_ms: u64,
    /// Ways on which an operation has failed, with what the NIC said first.
    pub(super) failed: BTreeMap<Route, String>,
    /// Ways on which something failed that may have been under way to an endpoint that is no more.
    pub(super) doubted: BTreeMap<Route, String>,
    /// The question under way.
    pub(super) nonce: u64,
    attempts: u32,
    /// Things said to it: the second way of each is another one.
    pub(super) said: u32,
    /// When the first answer came.
    pub(super) since_ms: Option<u64>,
    /// By number of the NIC: what came through the target's, and by this PE's.
    through: Vec<Seen>,
    by: Vec<Seen>,
    /// NICs of the target that are to be fenced.
    pub(super) fences: BTreeSet<u16>,
}

impl Watch {
    /// Whether nothing but time gives reason to ask.
    fn is_calm(&self) -> bool {
        self.failed.is_empty() && self.doubted.is_empty() && self.fences.is_empty()
    }
}

/// A way that may be broken.
struct Suspect {
    way: Route,
    /// Nothing comes by this PE's NIC.
    ours: bool,
    /// Nothing comes through the other's.
    theirs: bool,
    /// What a NIC has said.
    said: Option<String>,
}

impl<N: Nic> Proxy<N> {
    /// An operation of own NIC `nic` has failed.
    pub(in super::super) fn operation_failed(&mut self, nic: u16, failed: Failed) -> Result<(), String> {
        let Failed { to, error, .. } = failed;
        if !self.can_go_round(to.pe) {
            return Err(error.to_string());
        }
        let forgiven = self.recovery.forgiven.get(&(to.pe, to.nic));
        let forgiven = forgiven.is_some_and(|&until| self.now_ms < until);
        let Some(watch) = self.recovery.watches.get_mut(to.pe as usize) else { return Ok(()) };
        let way = Route { local: nic, remote: to.nic };
        let ways = if forgiven { &mut watch.doubted } else { &mut watch.failed };
        if let Entry::Vacant(entry) = ways.entry(way) {
            entry.insert(error.saying());
            if !forgiven {
                self.recovery.look_soon();
            }
        }
        Ok(())
    }

    /// Asks a PE, when there is reason to, what has arrived there.
    pub(super) fn look_after(&mut self, dst: u32) -> Result<(), String> {
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

    /// Judges by a peer's answer which of its NICs do not get what is sent to them.
    pub(super) fn judge(
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
        watch.failed.retain(|way, _| waiting.contains_key(way));
        watch.doubted.retain(|way, _| waiting.contains_key(way));
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
            let overdue =
                patience > 0 && now.saturating_sub(since.max(at_ms)) >= LONE_WAY.saturating_mul(patience);
            let confirmed = watch.doubted.contains_key(&way)
                && now.saturating_sub(since.max(at_ms)) >= patience.max(DOUBT_MS);
            let said = watch.failed.get(&way).or_else(|| watch.doubted.get(&way).filter(|_| confirmed));
            if ours || theirs || overdue || said.is_some() {
                suspects.push(Suspect { way, ours, theirs, said: said.cloned() });
            }
        }
        suspects.into_iter().try_for_each(|suspect| self.suspect(pe, suspect))
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
    fn suspect(&mut self, pe: u32, suspect: Suspect) -> Result<(), String> {
        let Suspect { way, ours, theirs, said } = suspect;
        let Some(watch) = self.recovery.watches.get_mut(pe as usize) else { return Ok(()) };
        if watch.fences.insert(way.remote) {
            self.recovery.look_soon();
        }
        if theirs || !ours {
            self.ways.close_peer(PeerNic { pe, nic: way.remote }, self.now_ms);
        }
        if theirs && !ours {
            return Ok(());
        }
        if self.ways.is_open(way.local) {
            let silence = || {
                if ours {
                    return format!("nothing that it sends reaches PE {pe}, which answers by another way");
                }
                format!("what it sent to PE {pe} NIC {} has not arrived", way.remote)
            };
            self.happened(way.local, Happened::Down(said.unwrap_or_else(silence)));
        }
        self.shut(way.local)
    }
}
