//! A NIC against its share of the group's load.

use super::summary::Direction;
use crate::monitor::model::view::GroupView;

/// The mean over the group's NICs whose rate is known, which max/mean refers to; `None` for a single NIC, which has
/// nobody to be compared with.
pub(super) fn mean(group: &GroupView, direction: Direction) -> Option<f64> {
    mean_of(group, direction, |_| true)
}

/// Whether a NIC is why its group is uneven: it is known to be slow, or to be out. The others carry its load, and are
/// not to be blamed for having more than the mean.
pub(super) fn is_weak(group: &GroupView, direction: Direction, index: usize) -> bool {
    let slow = direction.of(group).distribution.is_some_and(|d| d.slow == Some(index));
    slow || group.nics[index].is_out()
}

/// What a NIC may carry and still have no more than its share, in bytes per second: the mean of those that are not
/// [weak](is_weak), times `limit`.
fn most(group: &GroupView, direction: Direction, limit: f64) -> Option<f64> {
    Some(mean_of(group, direction, |index| !is_weak(group, direction, index))? * limit)
}

fn mean_of(group: &GroupView, direction: Direction, counts: impl Fn(usize) -> bool) -> Option<f64> {
    let rates = group.nics.iter().enumerate().filter(|(index, _)| counts(*index));
    let rates = rates.filter_map(|(_, nic)| direction.flow(nic).bytes_per_s);
    let (sum, count) = rates.fold((0.0, 0_u32), |(sum, count), rate| (sum + rate, count + 1));
    (count > 1).then(|| sum / f64::from(count))
}

/// A NIC against the others of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// More than its share, in a group that is uneven.
    Over,
    Within,
    /// Less than its share, while the others are not known to be better.
    Under,
    /// The reason of it all: see [`is_weak`].
    Weak,
}

impl Against {
    /// `limit` is that of max/mean.
    pub(super) fn of(group: &GroupView, direction: Direction, index: usize, limit: f64) -> Self {
        let Some(rate) = direction.flow(&group.nics[index]).bytes_per_s else { return Self::Within };
        if is_weak(group, direction, index) {
            return Self::Weak;
        }
        if !direction.of(group).spread.verdict.is_imbalance() {
            return Self::Within;
        }
        match most(group, direction, limit) {
            Some(most) if rate > most => Self::Over,
            Some(most) if rate < most / limit / limit => Self::Under,
            _ => Self::Within,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::model::group;
    use crate::monitor::tui::synthetic::{Cluster, Shape};
    use test_case::test_case;

    const LIMIT: f64 = 1.25;

    /// A group whose NICs send at these rates; those named in `out` have no link.
    fn group(rates: &[f64], out: &[usize]) -> GroupView {
        let mut group = Cluster::default().view(Shape::PairSeq, 1).groups[0].clone();
        for (index, nic) in group.nics.iter_mut().enumerate() {
            nic.tx.bytes_per_s = Some(rates[index] * 1e9);
            nic.state = Some(if out.contains(&index) { "DOWN" } else { "ACTIVE" }.to_owned());
        }
        group.tx = group::flow(&group.nics, LIMIT, |nic| nic.tx);
        group
    }

    #[test_case(&[4.0, 4.0, 4.0, 4.0], &[], "===="; "even")]
    #[test_case(&[8.0, 1.0, 1.0, 1.0], &[], "^vvv"; "one carries too much")]
    #[test_case(&[4.0, 4.0, 1.0, 4.0], &[], "==w="; "one is slow, and the others do its work")]
    #[test_case(&[4.0, 4.0, 0.0, 4.0], &[2], "==w="; "one is down")]
    #[test_case(&[4.0, 1.0, 0.0, 4.0], &[2], "=ww="; "one is down and another slow")]
    #[test_case(&[8.0, 2.0, 0.0, 2.0], &[2], "^vwv"; "one is down, and the others do not share either")]
    fn blames_who_is_to_blame(rates: &[f64], out: &[usize], expected: &str) {
        let group = group(rates, out);
        let of = |index| match Against::of(&group, Direction::Tx, index, LIMIT) {
            Against::Over => '^',
            Against::Within => '=',
            Against::Under => 'v',
            Against::Weak => 'w',
        };
        assert_eq!((0..rates.len()).map(of).collect::<String>(), expected);
    }
}
