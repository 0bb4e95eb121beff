//! One NIC per PE.

use super::{Op, Place, Plan, Policy, Route};

/// NIC 0 always: what NVSHMEM did up to 3.5.21.
#[derive(Debug, Clone)]
pub struct Single;

impl Policy for Single {
    fn new(_place: Place) -> Self {
        Self
    }

    fn next(&mut self, _op: Op, _in_flight: &[u64]) -> Plan {
        Plan::one(Route::aligned(0))
    }
}
