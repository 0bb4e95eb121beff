//! Sums and spread of NICs that should share one load.

use super::view::{Distribution, Flow, GroupFlow, NicView};
use crate::balance::Spread;

/// One direction of a group: the sum over the NICs whose rate is known, and how evenly all of them share it, judged
/// under the limit `max_over_mean`.
pub(in crate::monitor) fn flow(
    nics: &[NicView],
    max_over_mean: f64,
    direction: impl Fn(&NicView) -> Flow,
) -> GroupFlow {
    let rates: Vec<Option<f64>> = nics.iter().map(|n| direction(n).bytes_per_s).collect();
    let known: Vec<f64> = rates.iter().flatten().copied().collect();
    let unread = rates.len() - known.len();
    GroupFlow {
        bytes_per_s: (!known.is_empty()).then(|| known.iter().sum()),
        unread,
        spread: Spread::of_known(&known, unread, max_over_mean),
        distribution: Distribution::of(&rates),
        window_max_over_mean: None,
    }
}
