//! Sums and spread of NICs that should share one load.

use super::view::{Flow, GroupFlow, NicView};
use crate::balance::{DEFAULT_MAX_OVER_MEAN, Spread};

/// One direction of a group: the sum over the NICs whose rate is known, and how evenly those share it.
pub(super) fn flow(nics: &[NicView], direction: impl Fn(&NicView) -> Flow) -> GroupFlow {
    let known: Vec<f64> = nics.iter().filter_map(|n| direction(n).bytes_per_s).collect();
    let mut spread = Spread::of(&known, DEFAULT_MAX_OVER_MEAN);
    // "3 of 4 active" counts a NIC that cannot be read among the 4, but it does not make the others look skewed.
    spread.nics = nics.len();
    GroupFlow { bytes_per_s: (!known.is_empty()).then(|| known.iter().sum()), spread }
}
