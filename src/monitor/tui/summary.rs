//! Several groups in a sentence: of a node, and of everything.

use super::history::Point;
use super::rows::{full_name, is_dead};
use super::theme::Token;
use crate::balance::Verdict;
use crate::monitor::model::view::{Flow, GroupFlow, GroupView, NicView};

/// One direction or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Tx,
    Rx,
}

impl Direction {
    /// Both.
    pub(super) const BOTH: [Self; 2] = [Self::Tx, Self::Rx];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tx => "Tx",
            Self::Rx => "Rx",
        }
    }

    /// How it looks.
    pub(super) fn token(self) -> Token {
        match self {
            Self::Tx => Token::Tx,
            Self::Rx => Token::Rx,
        }
    }

    /// This direction of a point of the history, in bytes per second.
    pub(super) fn of_point(self, point: &Point) -> Option<f32> {
        match self {
            Self::Tx => point.tx(),
            Self::Rx => point.rx(),
        }
    }

    /// This direction of a NIC.
    pub(super) fn flow(self, nic: &NicView) -> &Flow {
        match self {
            Self::Tx => &nic.tx,
            Self::Rx => &nic.rx,
        }
    }

    /// This direction of a group.
    pub(super) fn of(self, group: &GroupView) -> &GroupFlow {
        match self {
            Self::Tx => &group.tx,
            Self::Rx => &group.rx,
        }
    }
}

/// One direction over several groups.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Summary {
    /// Sum over the groups whose rate is known.
    pub(super) bytes_per_s: Option<f64>,
    /// Groups with traffic in this direction; the idle have no say in the balance, and the dead in nothing.
    pub(super) busy: usize,
    /// Of those, how many are skewed or use a single NIC.
    pub(super) uneven: usize,
    /// The worst max/mean and whose it is.
    pub(super) worst: Option<(f64, String)>,
    /// The worst group's verdict; idle when nothing moves, `None` when no rate is known yet.
    pub(super) verdict: Option<Verdict>,
    pub(super) active_nics: usize,
    pub(super) nics: usize,
    /// NICs whose rate is not known, of groups that cannot be judged for that.
    pub(super) unread: usize,
    /// NICs far behind the others of their group, one per group at most.
    pub(super) slow: usize,
}

impl Summary {
    pub(super) fn of<'a>(groups: impl Iterator<Item = &'a GroupView>, direction: Direction) -> Self {
        Self::above(0.0, groups, direction)
    }

    /// The same, but the balance of who moves fewer bytes per second than `least` is nobody's concern: of many nodes some
    /// always send a packet over one NIC.
    pub(super) fn above<'a>(
        least: f64,
        groups: impl Iterator<Item = &'a GroupView>,
        direction: Direction,
    ) -> Self {
        let mut summary = Self::default();
        for group in groups.filter(|group| !is_dead(group)) {
            let flow = direction.of(group);
            summary.nics += flow.spread.nics;
            if let Some(rate) = flow.bytes_per_s {
                summary.bytes_per_s = Some(summary.bytes_per_s.unwrap_or(0.0) + rate);
                summary.verdict.get_or_insert(Verdict::Idle);
            }
            if flow.bytes_per_s.is_none() {
                continue;
            }
            if flow.spread.verdict == Verdict::Unknown {
                summary.unread += flow.unread;
            }
            summary.slow += usize::from(flow.distribution.is_some_and(|d| d.slow.is_some()));
            let heavy = flow.bytes_per_s.is_some_and(|rate| rate >= least);
            let Some(ratio) = flow.spread.max_over_mean.filter(|_| heavy) else { continue };
            summary.busy += 1;
            summary.active_nics += flow.spread.active_nics;
            summary.uneven += usize::from(flow.spread.verdict.is_imbalance());
            if summary.worst.as_ref().is_none_or(|(worst, _)| ratio > *worst) {
                summary.worst = Some((ratio, full_name(group)));
                summary.verdict = Some(flow.spread.verdict);
            }
        }
        // A group that cannot be judged may be worse than the worst that can, unless that is bad already.
        if summary.unread > 0 && summary.verdict.is_some_and(|verdict| !verdict.is_imbalance()) {
            (summary.verdict, summary.worst) = (Some(Verdict::Unknown), None);
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Cluster, Shape};
    use super::*;
    use crate::monitor::model::view::Mark;

    #[test]
    fn the_worst_group_speaks_and_the_idle_and_the_dead_do_not() {
        let cluster = Cluster::default();
        let mut view = cluster.view(Shape::PairSeq, 1);
        let bad = cluster.view(Shape::RoundRobin, 1);
        view.groups[3] = bad.groups[3].clone();
        let summary = Summary::of(view.groups.iter(), Direction::Rx);
        assert_eq!((summary.verdict, summary.uneven, summary.busy), (Some(Verdict::SingleNic), 1, 8));
        assert_eq!(summary.worst.as_ref().map(|(_, name)| name.as_str()), Some("node0 PE 3"));
        view.groups[3].marks = vec![Mark::Dead];
        let summary = Summary::of(view.groups.iter(), Direction::Rx);
        assert_eq!((summary.verdict, summary.uneven, summary.busy), (Some(Verdict::Balanced), 0, 7));
        assert_eq!((summary.active_nics, summary.nics), (28, 28));
    }

    #[test]
    fn no_rate_is_not_idle() {
        let cluster = Cluster::default();
        let first = cluster.view(Shape::PairSeq, 0);
        assert_eq!(Summary::of(first.groups.iter(), Direction::Tx).verdict, None);
        let idle = cluster.view(Shape::Idle, 1);
        assert_eq!(Summary::of(idle.groups.iter(), Direction::Tx).verdict, Some(Verdict::Idle));
    }

    #[test]
    fn a_nic_that_cannot_be_read_leaves_the_verdict_open_unless_the_others_decide_it() {
        let cluster = Cluster::default();
        let mut view = cluster.view(Shape::PairSeq, 1);
        (view.groups[3].tx.unread, view.groups[3].tx.spread.verdict) = (3, Verdict::Unknown);
        let summary = Summary::of(view.groups.iter(), Direction::Tx);
        assert_eq!((summary.verdict, summary.unread, summary.worst), (Some(Verdict::Unknown), 3, None));
        view.groups[4] = cluster.view(Shape::Single, 1).groups[4].clone();
        let summary = Summary::of(view.groups.iter(), Direction::Tx);
        assert_eq!((summary.verdict, summary.unread), (Some(Verdict::SingleNic), 3));
    }
}
