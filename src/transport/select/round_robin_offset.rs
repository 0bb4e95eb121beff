//! NICs in turn, the remote one shifted by who talks to whom.

use super::{Place, Policy, Route, rail};

/// Local `c++ % N`, remote `((me + dst) % N + r++ % N) % N`: the formula of NVSHMEM PR #76.
///
/// Rails are not aligned: any local NIC may write to any remote one.
#[derive(Debug, Clone)]
pub struct RoundRobinOffset {
    me: u32,
    nics: u16,
    local_count: u64,
    remote_count: u64,
}

impl Policy for RoundRobinOffset {
    fn new(place: Place) -> Self {
        Self { me: place.me, nics: place.nics, local_count: 0, remote_count: 0 }
    }

    fn next(&mut self, dst: u32) -> Route {
        let local = rail(self.local_count, self.nics);
        let pair = u64::from(self.me) + u64::from(dst);
        let remote = rail(pair.wrapping_add(self.remote_count), self.nics);
        self.local_count = self.local_count.wrapping_add(1);
        self.remote_count = self.remote_count.wrapping_add(1);
        Route { local, remote }
    }
}
