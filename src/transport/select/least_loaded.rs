//! The NIC with the least to do.

use super::{Op, PairSeq, Place, Plan, Policy, Route};

/// The NIC with the least bytes in flight; where several have as little, the first of them from `me + dst + seq[dst]++`
/// on, [`PairSeq`]'s value.
///
/// A slow NIC keeps its bytes longer and so gets fewer. With nothing in flight, or as much everywhere, this is
/// pair-seq: ties that went to NIC 0 would make it round-robin, and ties to a fixed NIC per pair would keep a pair
/// that waits for each of its puts on one NIC for ever.
///
/// While the figures stand still, what was given out since they last moved is added to them. So figures that lag,
/// those taken once for a batch say, do not send the whole batch to one NIC.
#[derive(Debug, Clone)]
pub struct LeastLoaded {
    pairs: PairSeq,
    /// By NIC.
    loads: Vec<Load>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Load {
    /// Bytes in flight when last looked at.
    seen: u64,
    /// Bytes given out since any NIC's figure last changed.
    given: u64,
}

impl LeastLoaded {
    /// Takes the figures in. One that is missing is 0.
    fn look(&mut self, in_flight: &[u64]) {
        let mut moved = false;
        for (index, load) in self.loads.iter_mut().enumerate() {
            let now = in_flight.get(index).copied().unwrap_or(0);
            moved |= now != load.seen;
            load.seen = now;
        }
        if moved {
            self.loads.iter_mut().for_each(|load| load.given = 0);
        }
    }

    /// What the NIC of this route has to do.
    fn bytes(&self, route: Route) -> u64 {
        let load = self.loads.get(usize::from(route.local));
        load.map_or(u64::MAX, |load| load.seen.saturating_add(load.given))
    }
}

impl Policy for LeastLoaded {
    const READS_LOAD: bool = true;

    fn new(place: Place) -> Self {
        Self { pairs: PairSeq::new(place), loads: vec![Load::default(); usize::from(place.nics.max(1))] }
    }

    fn next(&mut self, op: Op, in_flight: &[u64]) -> Plan {
        self.look(in_flight);
        let start = self.pairs.take(op.dst);
        let nics = u16::try_from(self.loads.len()).unwrap_or(u16::MAX);
        let mut walk = Route::at(start, nics, op.peer_nics);
        let (mut route, mut least) = (walk, self.bytes(walk));
        for _ in 1..nics {
            walk = walk.next(nics, op.peer_nics);
            let bytes = self.bytes(walk);
            // The first of several minima: that of the walk's start.
            if bytes < least {
                (route, least) = (walk, bytes);
            }
        }
        if let Some(load) = self.loads.get_mut(usize::from(route.local)) {
            load.given = load.given.saturating_add(op.len);
        }
        Plan::one(route)
    }
}
