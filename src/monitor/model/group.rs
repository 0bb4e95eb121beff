//! Sums and spread of NICs that should share one load.

use super::view::{Distribution, Flow, GroupFlow, GroupView, NicView};
use crate::balance::Spread;

/// One direction of a group: the sum over the NICs whose rate is known, and how evenly all of them share it, judged
/// under the limit `max_over_mean`. NICs whose driver counts no bytes are no part of it, unless there is no other.
pub(in crate::monitor) fn flow(
    nics: &[NicView],
    max_over_mean: f64,
    direction: impl Fn(&NicView) -> Flow,
) -> GroupFlow {
    let all_alike = nics.iter().all(NicView::counts_no_bytes);
    let (places, rates): (Vec<usize>, Vec<Option<f64>>) = nics
        .iter()
        .enumerate()
        .filter(|(_, nic)| all_alike || !nic.counts_no_bytes())
        .map(|(place, nic)| (place, direction(nic).bytes_per_s))
        .unzip();
    let known: Vec<f64> = rates.iter().flatten().copied().collect();
    let unread = rates.len() - known.len();
    GroupFlow {
        bytes_per_s: (!known.is_empty()).then(|| known.iter().sum()),
        unread,
        spread: Spread::of_known(&known, unread, max_over_mean),
        distribution: Distribution::of(&rates, |counted| !nics[places[counted]].is_out())
            .map(|of| Distribution { slow: of.slow.map(|counted| places[counted]), ..of }),
        window_max_over_mean: None,
    }
}

/// The same group with these NICs as well.
pub(in crate::monitor) fn with(
    group: &GroupView,
    nics: impl IntoIterator<Item = NicView>,
    max_over_mean: f64,
) -> GroupView {
    let nics: Vec<NicView> = group.nics.iter().cloned().chain(nics).collect();
    GroupView {
        tx: flow(&nics, max_over_mean, |n| n.tx),
        rx: flow(&nics, max_over_mean, |n| n.rx),
        nics,
        ..group.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Verdict;
    use crate::monitor::model::view::SourceKind;
    use crate::monitor::tui::synthetic::{Cluster, Shape};

    /// NICs of drivers, each with its rate.
    fn nics(of: &[(&str, Option<f64>)]) -> Vec<NicView> {
        let row = Cluster::default().view(Shape::PairSeq, 1).groups[0].nics[0].clone();
        let nic = |&(driver, bytes_per_s): &(&str, Option<f64>)| NicView {
            driver: driver.to_owned(),
            source: SourceKind::Sysfs,
            tx: Flow { bytes: bytes_per_s.map(|_| 1), bytes_per_s, ..Flow::default() },
            rx: Flow::default(),
            ..row.clone()
        };
        of.iter().map(nic).collect()
    }

    #[test]
    fn a_nic_whose_driver_counts_no_bytes_leaves_the_others_to_be_judged() {
        let group = |of: &[(&str, Option<f64>)]| flow(&nics(of), 1.25, |nic| nic.tx);
        let mixed = group(&[("cxgb4", None), ("mlx5_core", Some(4e9)), ("mlx5_core", Some(4e9))]);
        assert_eq!((mixed.unread, mixed.spread.nics, mixed.spread.verdict), (0, 2, Verdict::Balanced));
        let one_slow = group(&[
            ("hns_roce", None),
            ("mlx5_core", Some(4e9)),
            ("mlx5_core", Some(1e9)),
            ("mlx5_core", Some(4e9)),
        ]);
        assert_eq!(one_slow.distribution.and_then(|of| of.slow), Some(2), "the place in the whole group");
        let unread = group(&[("mlx5_core", None), ("mlx5_core", Some(4e9))]);
        assert_eq!((unread.unread, unread.spread.verdict), (1, Verdict::Unknown), "that one does count");
        let alike = group(&[("cxgb4", None), ("cxgb4", None)]);
        assert_eq!(
            (alike.unread, alike.spread.verdict),
            (2, Verdict::Unknown),
            "nobody knows, so it is not idle"
        );
    }
}
