//! One NIC per PE.

use super::{Place, Policy, Route};

/// NIC 0 always: what NVSHMEM did up to 3.5.21.
#[derive(Debug, Clone)]
pub struct Single;

impl Policy for Single {
    fn new(_place: Place) -> Self {
        Self
    }

    fn next(&mut self, _dst: u32) -> Route {
        Route::aligned(0)
    }
}
