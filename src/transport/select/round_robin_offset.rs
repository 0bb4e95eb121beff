//! NICs in turn, the remote one shifted by who talks to whom.

use super::plan::rail;
use super::{Op, Place, Plan, Policy, Route};

/// Local `c++ % N`, remote `((me + dst) % N + r++ % N) % N`: the formula of NVSHMEM PR #76. The remote `N` is the
/// target's number of NICs. Both counters count every operation (in the PR, atomics leave `r` as it is, and the two
/// drift apart), so they are one here.
///
/// Rails are not aligned: any local NIC may write to any remote one.
#[derive(Debug, Clone)]
pub struct RoundRobinOffset {
    me: u32,
    nics: u16,
    count: u64,
}

impl Policy for RoundRobinOffset {
    fn new(place: Place) -> Self {
        Self { me: place.me, nics: place.nics, count: 0 }
    }

    fn next(&mut self, op: Op, _in_flight: &[u64]) -> Plan {
        let pair = u64::from(self.me) + u64::from(op.dst);
        let local = rail(self.count, self.nics);
        let remote = rail(pair.wrapping_add(self.count), op.peer_nics);
        self.count = self.count.wrapping_add(1);
        Plan::one(Route { local, remote })
    }
}
