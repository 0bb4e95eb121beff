//! Which ways are open: a way leads from one of this PE's NICs to one of another PE's.
//!
//! A NIC that has failed is closed for all ways, here or at the peer, until a probe through it comes back; one that has failed as a
//! whole for good.

use std::collections::HashMap;

use crate::transport::nic::PeerNic;
use crate::transport::select::Route;

/// First and longest time between two probes.
const FIRST_PROBE_MS: u64 = 100;
const LONGEST_PROBE_MS: u64 = 2_000;

/// Something closed.
#[derive(Debug, Clone, Copy, Default)]
struct Closed {
    next_probe_ms: u64,
    pause_ms: u64,
}

/// A probe to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) local: u16,
    pub(super) to: PeerNic,
    pub(super) nonce: u64,
}

/// All ways of a PE.
#[derive(Debug)]
pub(super) struct Ways {
    widths: Vec<u16>,
    me: u32,
    /// By own NIC.
    own: Vec<Option<Closed>>,
    /// By own NIC: whether it will never work again.
    gone: Vec<bool>,
    peers: HashMap<PeerNic, Closed>,
    /// How many are closed of both: every operation asks whether any is.
    closed: usize,
    /// Probes under way, with what they prove.
    probes: HashMap<u64, (u16, PeerNic)>,
    nonce: u64,
    /// Moves on with every probe.
    turn: u16,
    /// Chooses among substitutes, so that the load of a closed NIC is spread.
    dice: u64,
}

impl Ways {
    pub(super) fn new(me: u32, widths: &[u16], own: usize) -> Self {
        Self {
            widths: widths.to_vec(),
            me,
            own: vec![None; own],
            gone: vec![false; own],
            peers: HashMap::new(),
            closed: 0,
            probes: HashMap::new(),
            nonce: 0,
            turn: 0,
            dice: u64::from(me),
        }
    }

    /// Whether everything is open: nearly always.
    #[inline]
    pub(super) fn all_open(&self) -> bool {
        self.closed == 0
    }

    /// Whether own NIC `nic` is open.
    pub(super) fn is_open(&self, nic: u16) -> bool {
        self.own.get(usize::from(nic)).is_some_and(Option::is_none)
    }

    /// Whether a peer's NIC is open.
    pub(super) fn is_peer_open(&self, nic: PeerNic) -> bool {
        !self.peers.contains_key(&nic)
    }

    /// Whether any own NIC is open.
    pub(super) fn is_any_open(&self) -> bool {
        self.own.iter().any(Option::is_none)
    }

    /// Whether this PE may have all of its NICs closed for a while: one that has others may not, and one that has none only
    /// if everybody else has.
    pub(super) fn may_be_deaf(&self) -> bool {
        self.own.len() == 1 && self.has_others(self.me)
    }

    /// Whether a NIC on the way to `dst` can be gone round: one of the two has another, and `dst` can be fenced.
    pub(super) fn has_choice(&self, dst: u32) -> bool {
        self.width(dst) > 1 || self.own.len() > 1 && self.has_others(dst)
    }

    /// Whether all PEs but this one have several NICs.
    fn has_others(&self, but: u32) -> bool {
        (0..).zip(&self.widths).all(|(pe, &width)| pe == but || width > 1)
    }

    fn width(&self, pe: u32) -> u16 {
        self.widths.get(pe as usize).map_or(1, |&width| width.max(1))
    }

    fn own_count(&self) -> u16 {
        u16::try_from(self.own.len()).unwrap_or(u16::MAX).max(1)
    }

    /// The way itself if it is open, else one that is; if none is, one that may open again.
    #[inline]
    pub(super) fn open_way(&mut self, dst: u32, wanted: Route) -> Route {
        if self.all_open() { wanted } else { self.way_round(dst, wanted) }
    }

    #[cold]
    fn way_round(&mut self, dst: u32, wanted: Route) -> Route {
        let (here, there) = (self.roll(), self.roll());
        let own = self.own_count();
        let local = pick(wanted.local, own, here, |nic| self.is_open(nic))
            .or_else(|| pick(wanted.local, own, here, |nic| !self.is_gone(nic)));
        let remote =
            pick(wanted.remote, self.width(dst), there, |nic| self.is_peer_open(PeerNic { pe: dst, nic }));
        Route { local: local.unwrap_or(wanted.local), remote: remote.unwrap_or(wanted.remote) }
    }

    /// A number by chance: with one that counts, any pattern in the order of operations (a put, an acknowledgement, a put)
    /// could keep a substitute idle.
    fn roll(&mut self) -> u16 {
        // The multiplier is that of Knuth's MMIX; the high bits are the good ones.
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [high, low, ..] = self.dice.to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// Ways to `dst` to be tried for news: the most promising, and one of the others, another with each `attempt`.
    pub(super) fn news_ways(&self, dst: u32, attempt: u32) -> Vec<Route> {
        let mut ways: Vec<_> = self
            .left()
            .flat_map(|local| (0..self.width(dst)).map(move |remote| Route { local, remote }))
            .collect();
        let badness = |way: &Route| {
            let closed = usize::from(!self.is_open(way.local))
                + usize::from(!self.is_peer_open(PeerNic { pe: dst, nic: way.remote }));
            (closed, way.local != way.remote)
        };
        ways.sort_by_key(badness);
        if let Some(others) = ways.len().checked_sub(1).filter(|&others| others > 0) {
            ways.swap(1, 1 + attempt as usize % others);
        }
        ways.truncate(2);
        ways
    }

    /// Ways to `dst` that between them use every NIC of both sides, paired anew with each `attempt`.
    pub(super) fn every_nic(&self, dst: u32, attempt: u32) -> impl Iterator<Item = Route> + use<> {
        let own: Vec<_> = self.left().collect();
        let theirs = self.width(dst);
        let shift = u16::try_from(attempt % u32::from(theirs)).unwrap_or(0);
        let most = u16::try_from(own.len()).unwrap_or(u16::MAX).max(theirs);
        let remotes = (0..most).map(move |nic| (nic % theirs + shift) % theirs);
        own.into_iter().cycle().zip(remotes).map(|(local, remote)| Route { local, remote })
    }

    /// Own NICs that work or may work again.
    fn left(&self) -> impl Iterator<Item = u16> {
        (0..self.own_count()).filter(|&nic| !self.is_gone(nic))
    }

    fn is_gone(&self, nic: u16) -> bool {
        self.gone.get(usize::from(nic)).is_some_and(|&gone| gone)
    }

    /// Own NIC `nic` will never work again.
    pub(super) fn give_up(&mut self, nic: u16) {
        if let Some(gone) = self.gone.get_mut(usize::from(nic)) {
            *gone = true;
        }
    }

    /// Closes own NIC `nic`; whether it was open.
    pub(super) fn close(&mut self, nic: u16, now_ms: u64) -> bool {
        match self.own.get_mut(usize::from(nic)) {
            Some(slot @ None) => {
                *slot = Some(Closed::since(now_ms));
                self.closed += 1;
                true
            }
            _ => false,
        }
    }

    /// Closes a peer's NIC; whether it was open.
    pub(super) fn close_peer(&mut self, nic: PeerNic, now_ms: u64) -> bool {
        let open = self.is_peer_open(nic);
        if open {
            self.peers.insert(nic, Closed::since(now_ms));
            self.closed += 1;
        }
        open
    }

    /// Whether a peer's NIC that is closed is somewhere to be probed at.
    pub(super) fn may_probe(&mut self, nic: PeerNic, may: bool, now_ms: u64) {
        if let Some(closed) = self.peers.get_mut(&nic) {
            match (may, closed.next_probe_ms) {
                (false, _) => closed.next_probe_ms = u64::MAX,
                (true, u64::MAX) => *closed = Closed::since(now_ms),
                (true, _) => {}
            }
        }
    }

    /// The probes that are due.
    pub(super) fn probes_due(&mut self, now_ms: u64) -> Vec<Probe> {
        if self.all_open() {
            return Vec::new();
        }
        let mut due = Vec::new();
        for nic in 0..self.own_count() {
            if self.is_gone(nic) {
                continue;
            }
            let closed = self.own.get_mut(usize::from(nic)).and_then(Option::as_mut);
            if closed.is_some_and(|closed| closed.is_due(now_ms))
                && let Some(to) = self.some_peer(nic)
            {
                due.push((nic, to));
            }
        }
        let peers: Vec<_> =
            self.peers.iter_mut().filter_map(|(nic, closed)| closed.is_due(now_ms).then_some(*nic)).collect();
        for to in peers {
            // Through a NIC that works, preferably the one of the same number.
            if let Some(local) = pick(to.nic % self.own_count(), self.own_count(), 0, |nic| self.is_open(nic))
            {
                due.push((local, to));
            }
        }
        due.into_iter().map(|(local, to)| self.probe(local, to)).collect()
    }

    fn probe(&mut self, local: u16, to: PeerNic) -> Probe {
        self.nonce += 1;
        self.probes.insert(self.nonce, (local, to));
        // Of those that never come back only the latest matter.
        let oldest = self.nonce.saturating_sub(4 * (self.own.len() + self.peers.len()) as u64 + 16);
        self.probes.retain(|&nonce, _| nonce > oldest);
        Probe { local, to, nonce: self.nonce }
    }

    /// A NIC of another PE that can answer a probe of own NIC `nic`, another one each time.
    fn some_peer(&mut self, nic: u16) -> Option<PeerNic> {
        let pes = u32::try_from(self.widths.len()).unwrap_or(u32::MAX);
        self.turn = self.turn.wrapping_add(1);
        let others = (0..pes).map(|step| (self.me + 1 + step + u32::from(self.turn)) % pes.max(1));
        let candidates = others.filter(|&pe| pe != self.me).flat_map(|pe| {
            let width = self.width(pe);
            (0..width).map(move |step| PeerNic { pe, nic: (nic + step) % width })
        });
        candidates.clone().find(|&to| self.is_peer_open(to)).or_else(|| candidates.clone().next())
    }

    /// A probe has come back from PE `from`: opens what it proves to work and returns what of it was closed. An own NIC stays
    /// closed until it is `usable`. One of another PE's proves nothing.
    pub(super) fn echo(
        &mut self,
        from: u32,
        nonce: u64,
        usable: impl Fn(u16) -> bool,
    ) -> (Option<u16>, Option<PeerNic>) {
        if self.probes.get(&nonce).is_none_or(|(_, to)| to.pe != from) {
            return (None, None);
        }
        let Some((local, to)) = self.probes.remove(&nonce) else { return (None, None) };
        let slot = self.own.get_mut(usize::from(local)).filter(|_| usable(local));
        let own = slot.and_then(Option::take).map(|_| local);
        let peer = self.peers.remove(&to).map(|_| to);
        self.closed -= usize::from(own.is_some()) + usize::from(peer.is_some());
        (own, peer)
    }
}

impl Closed {
    fn since(now_ms: u64) -> Self {
        Self { next_probe_ms: now_ms + FIRST_PROBE_MS, pause_ms: FIRST_PROBE_MS }
    }

    fn is_due(&mut self, now_ms: u64) -> bool {
        if now_ms < self.next_probe_ms {
            return false;
        }
        self.pause_ms = (self.pause_ms * 2).min(LONGEST_PROBE_MS);
        self.next_probe_ms = now_ms + self.pause_ms;
        true
    }
}

/// `wanted` if it is good, else a good one, another one with each `turn`.
fn pick(wanted: u16, count: u16, turn: u16, good: impl Fn(u16) -> bool) -> Option<u16> {
    if good(wanted) {
        return Some(wanted);
    }
    let open = |&nic: &u16| good(nic);
    let choices = (0..count).filter(open).count();
    let nth = usize::from(turn).checked_rem(choices)?;
    (0..count).filter(open).nth(nth)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerNic = PeerNic { pe: 1, nic: 0 };

    fn way(local: u16, remote: u16) -> Route {
        Route { local, remote }
    }

    #[test]
    fn a_closed_nic_is_gone_round_and_its_load_spread() {
        let mut ways = Ways::new(0, &[3, 3], 3);
        assert_eq!(ways.open_way(1, way(1, 1)), way(1, 1));
        assert!(ways.close(1, 0) && !ways.close(1, 0));
        let taken: Vec<_> = (0..1000).map(|_| ways.open_way(1, way(1, 1)).local).collect();
        let of = |nic| taken.iter().filter(|&&taken| taken == nic).count();
        assert!((400..600).contains(&of(0)) && of(0) + of(2) == 1000, "{} and {}", of(0), of(2));
        assert_eq!(ways.open_way(1, way(1, 1)).remote, 1, "the peer's NIC is not to blame");
        assert!(ways.close_peer(A, 0));
        assert_ne!(ways.open_way(1, way(0, 0)).remote, 0);
        for nic in 0..3 {
            ways.close(nic, 0);
        }
        assert_eq!(ways.open_way(1, way(2, 2)).local, 2, "with none open, the way itself");
    }

    #[test]
    fn probes_come_ever_more_seldom_and_an_echo_opens() {
        let mut ways = Ways::new(0, &[2, 2], 2);
        assert!(ways.probes_due(1_000_000).is_empty());
        ways.close(1, 0);
        ways.close_peer(A, 0);
        let mut sent = Vec::new();
        for now in 0..60_000 {
            sent.extend(ways.probes_due(now).into_iter().map(|probe| (now, probe)));
        }
        let of_own: Vec<_> = sent.iter().filter(|(_, probe)| probe.local == 1).collect();
        assert!((30..50).contains(&of_own.len()), "{}", of_own.len());
        assert!(sent.iter().all(|(_, probe)| probe.local == 1 || probe.to == A));
        assert_eq!(
            ways.echo(1, of_own[0].1.nonce, |_| true),
            (None, None),
            "an old one proves nothing any more"
        );
        let last = of_own.last().unwrap().1;
        assert_eq!(ways.echo(1, last.nonce, |_| false).0, None, "its queue is stuck");
        let again = ways.probe(1, A);
        assert_eq!(ways.echo(1, again.nonce, |_| true).0, Some(1));
        assert!(ways.is_open(1) && ways.is_peer_open(A), "it went to a closed NIC and came back");
        assert_eq!(ways.echo(1, again.nonce, |_| true), (None, None));
    }

    #[test]
    fn news_go_by_an_open_way_and_in_the_end_by_every_way() {
        let mut ways = Ways::new(0, &[3, 3], 3);
        ways.close(0, 0);
        ways.close_peer(PeerNic { pe: 1, nic: 1 }, 0);
        let all: Vec<_> = (0..9).flat_map(|attempt| ways.news_ways(1, attempt)).collect();
        assert!(all.iter().step_by(2).all(|&best| best == way(2, 2)), "{all:?}");
        assert_eq!(all.into_iter().collect::<std::collections::HashSet<_>>().len(), 9);
        let asked: std::collections::HashSet<_> =
            (0..3).flat_map(|attempt| ways.every_nic(1, attempt)).collect();
        assert_eq!(asked.len(), 9, "every NIC of both sides each time, every pair in the end");
    }
}
