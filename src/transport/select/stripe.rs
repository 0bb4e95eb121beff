//! A large operation over all NICs at once.

use super::plan::Side;
use super::{Op, PairSeq, Place, Plan, Policy};

/// From here on an operation is split (128 KiB, as aws-ofi-nccl and NIXL). Below, a second message costs more than a
/// second NIC saves.
pub const STRIPE_FROM: u64 = 128 << 10;

/// No NIC's share is smaller. It matters from 9 NICs on: 128 KiB over 32 NICs would be messages of 4 KiB, each of
/// which costs as much as one of 16 KiB. Close to UCX's smallest chunk of a multi-rail RMA (8 to 16 KiB).
pub const SMALLEST_SHARE: u64 = 16 << 10;

/// Operations of `STRIPE_FROM` (128 KiB) or more are split evenly over the NICs of both sides, from the pair's NIC on; smaller
/// ones go as under [`PairSeq`].
///
/// Where the sides have different numbers of NICs, the cuts of both apply: 3 NICs to 4 make 6 parts, in which each of the
/// 3 sends a third and each of the 4 receives a quarter. So one put is as fast as the slower side's NICs together,
/// whether it has few fast or many slow ones.
///
/// Large operations have a sequence of their own. If they took numbers from the small ones' (or each gave its NICs'
/// count), a pattern of small and large in turn could put every small one on the same NIC: aws-ofi-nccl had that.
#[derive(Debug, Clone)]
pub struct Stripe {
    me: u32,
    nics: u16,
    small: PairSeq,
    /// By destination.
    large: Vec<Walked>,
}

/// How many shares the large operations to a destination had so far, on this side and on the other.
#[derive(Debug, Clone, Copy, Default)]
struct Walked {
    local: u64,
    remote: u64,
}

impl Policy for Stripe {
    const SPLITS_FROM: u64 = STRIPE_FROM;

    fn new(place: Place) -> Self {
        let large = vec![Walked::default(); place.pes as usize];
        Self { me: place.me, nics: place.nics, small: PairSeq::new(place), large }
    }

    fn next(&mut self, op: Op, in_flight: &[u64]) -> Plan {
        if op.len < STRIPE_FROM {
            return self.small.next(op, in_flight);
        }
        let pair = u64::from(self.me) + u64::from(op.dst);
        let mut outside = Walked::default();
        let walked = self.large.get_mut(op.dst as usize).unwrap_or(&mut outside);
        let side = |walked: &mut u64, nics: u16| {
            let sharing = sharing(nics, op.len / SMALLEST_SHARE);
            let side = Side::new(pair.wrapping_add(*walked), nics, sharing);
            *walked = walked.wrapping_add(u64::from(sharing));
            side
        };
        Plan::split(side(&mut walked.local, self.nics), side(&mut walked.remote, op.peer_nics))
    }
}

/// Over how many of `nics` NICs to split what has room for `fit` shares: all, or as many as make rounds of like size.
///
/// 2 of 4 and not 3, for the next operation then takes the other 2, where after 3 it would meet this one on 2 NICs
/// (aws-ofi-nccl: 3 of 4 rails was slower than 2). It takes the largest divisor of the number of NICs; that would be
/// 1 of 13, so here it is 7, and then 6 and 1.
fn sharing(nics: u16, fit: u64) -> u16 {
    let nics = nics.max(1);
    let fit = u16::try_from(fit).unwrap_or(u16::MAX).max(1);
    nics.div_ceil(nics.div_ceil(fit))
}
