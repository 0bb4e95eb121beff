//! Sums and spread of NICs that should share one load.

use super::view::{Flow, GroupFlow, NicView};
use crate::balance::{DEFAULT_MAX_OVER_MEAN, Spread};

/// One direction of a group: the sum over the NICs whose rate is known, and how evenly all of them share it.
pub(in crate::monitor) fn flow(nics: &[NicView], direction: impl Fn(&NicView) -> Flow) -> GroupFlow {
    let known: Vec<f64> = nics.iter().filter_map(|n| direction(n).bytes_per_s).collect();
    let unread = nics.len() - known.len();
    GroupFlow {
        bytes_per_s: (!known.is_empty()).then(|| known.iter().sum()),
        unread,
        spread: Spread::of_known(&known, unread, DEFAULT_MAX_OVER_MEAN),
        distribution: None,
    }
}
