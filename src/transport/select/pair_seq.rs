//! A counter per destination, started where the pair says.

use super::{Op, Place, Plan, Policy, Route};

/// `(me + dst + seq[dst]++) % N`, the same index on both sides.
///
/// Each pair walks over all rails by itself, so no other destination's operation count can lock it onto one NIC;
/// the start `me + dst` spreads the senders of one receiver, and the receivers of one sender, over the rails.
#[derive(Debug, Clone)]
pub struct PairSeq {
    me: u32,
    nics: u16,
    seq: Vec<u64>,
}

impl PairSeq {
    /// `me + dst + seq[dst]++`; a `dst` outside the job has no counter.
    #[inline]
    pub(super) fn take(&mut self, dst: u32) -> u64 {
        let pair = u64::from(self.me) + u64::from(dst);
        let Some(seq) = self.seq.get_mut(dst as usize) else { return pair };
        let value = pair.wrapping_add(*seq);
        *seq = seq.wrapping_add(1);
        value
    }
}

impl Policy for PairSeq {
    fn new(place: Place) -> Self {
        Self { me: place.me, nics: place.nics, seq: vec![0; place.pes as usize] }
    }

    #[inline]
    fn next(&mut self, op: Op, _in_flight: &[u64]) -> Plan {
        Plan::one(Route::at(self.take(op.dst), self.nics, op.peer_nics))
    }
}
