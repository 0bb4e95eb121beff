//! A counter per destination, started where the pair says.

use super::{Place, Policy, Route, rail};

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

impl Policy for PairSeq {
    fn new(place: Place) -> Self {
        Self { me: place.me, nics: place.nics, seq: vec![0; place.pes as usize] }
    }

    fn next(&mut self, dst: u32) -> Route {
        let pair = u64::from(self.me) + u64::from(dst);
        let Some(seq) = self.seq.get_mut(dst as usize) else {
            return Route::aligned(rail(pair, self.nics));
        };
        let nic = rail(pair.wrapping_add(*seq), self.nics);
        *seq = seq.wrapping_add(1);
        Route::aligned(nic)
    }
}
