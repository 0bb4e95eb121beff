//! NICs in turn.

use super::{Op, Place, Plan, Policy, Route};

/// `c++ % N` with one counter per PE: NVSHMEM 3.6.5.
///
/// Tx is even. In an all-to-all in ring order with a multiple of `N` remote peers every sender meets a given
/// receiver at the same count, so all of a receiver's traffic arrives on one of its NICs.
#[derive(Debug, Clone)]
pub struct RoundRobin {
    nics: u16,
    count: u64,
}

impl Policy for RoundRobin {
    fn new(place: Place) -> Self {
        Self { nics: place.nics, count: 0 }
    }

    fn next(&mut self, op: Op, _in_flight: &[u64]) -> Plan {
        let route = Route::at(self.count, self.nics, op.peer_nics);
        self.count = self.count.wrapping_add(1);
        Plan::one(route)
    }
}
