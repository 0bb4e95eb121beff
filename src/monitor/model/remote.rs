//! Other machines: how each is, and which group of all is the worst.

use std::cmp::Reverse;
use std::ops::Range;
use std::time::Duration;

use super::view::{GroupFlow, GroupView, Mark, NicView, View};
use crate::balance::{BUSY_BYTES_PER_S, Verdict};
use crate::monitor::counter::Health;

/// How a node that is watched from afar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteState {
    /// Was asked, and has not answered yet.
    Asked,
    /// Answers, and its numbers are of now.
    Live,
    /// Answers, but with numbers that are too old to be of now.
    Old,
    /// Has answered before, and does not now.
    Lost,
    /// Has never answered.
    Never,
}

impl RemoteState {
    /// The word on the screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Live => "live",
            Self::Old => "old numbers",
            Self::Lost => "lost",
            Self::Never => "no answer",
        }
    }

    /// Whether something is wrong with it.
    #[must_use]
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::Old | Self::Lost | Self::Never)
    }
}

/// A node that is watched from afar.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteView {
    /// What it is called on the command line.
    pub name: String,
    /// Where it is asked.
    pub place: String,
    /// How it is.
    pub state: RemoteState,
    /// Why there are no numbers, or why the last answer was none.
    pub reason: Option<String>,
    /// For how long there have been no newer numbers; `None` before the first.
    pub age: Option<Duration>,
    /// How long its last answer took.
    pub took: Option<Duration>,
    /// Answers and failures so far.
    pub counts: [u64; 2],
    /// Its groups among those of the view; empty as long as there are no numbers of now.
    pub groups: Range<usize>,
}

impl RemoteView {
    /// For how long there have been no newer numbers, as the end of a sentence: `, since 12 s`.
    #[must_use]
    pub fn since(&self) -> String {
        self.age.map_or_else(String::new, |age| format!(", since {} s", age.as_secs()))
    }
}

/// A group's name beside its node's: with the node that a PE's page names, where that has another name.
#[must_use]
pub fn group_name(node: &RemoteView, group: &GroupView) -> String {
    let short = group.short_name();
    match (group.node == node.name, short == group.node) {
        (true, true) => "all NICs".to_owned(),
        (true, false) | (false, true) => short,
        (false, false) => format!("{} {short}", group.node),
    }
}

/// How bad a row is: the smallest is the worst. Within a rank by max/mean, in tenths, so that rows do not dance.
pub type Badness = (Rank, Reverse<u64>);

/// What is worse than what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A node of which nothing is known.
    Unknown,
    /// A NIC that is gone, down, or cannot be read.
    Broken,
    /// Traffic that the NICs do not share.
    Uneven,
    /// Packets lost, sent again, or not answered in time.
    Losing,
    /// Traffic in good order.
    Busy,
    /// Nothing that moves, or no rate yet.
    Quiet,
}

/// A line of a fleet's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A node that has no group to show: its position.
    Node(usize),
    /// A group: the positions of its node and of itself.
    Group(usize, usize),
}

/// A line for each group of every node and for each node without one, in the order of the nodes, and how bad it is.
pub fn entries(view: &View) -> impl Iterator<Item = (Badness, Entry)> {
    let nodes = view.fleet.iter().flat_map(|nodes| nodes.iter().enumerate());
    nodes.flat_map(move |(at, node)| {
        let rank = if node.state.is_trouble() { Rank::Unknown } else { Rank::Quiet };
        let alone = node.groups.is_empty().then_some(((rank, Reverse(0)), Entry::Node(at)));
        let groups = node
            .groups
            .clone()
            .filter_map(move |group| Some((badness(view.groups.get(group)?), Entry::Group(at, group))));
        groups.chain(alone)
    })
}

/// How bad a group is.
///
/// An imbalance of next to nothing is none: a direction counts only where it moves [`BUSY_BYTES_PER_S`].
#[must_use]
pub fn badness(group: &GroupView) -> Badness {
    let ratio = worst_ratio(group);
    let tenths = Reverse(ratio.map_or(0, |(ratio, _)| tenths(ratio)));
    let uneven = busy(group).any(|flow| flow.spread.verdict.is_imbalance());
    let slow = busy(group).any(|flow| flow.distribution.is_some_and(|of| of.slow.is_some()));
    if group.nics.iter().any(is_broken)
        || group.marks.iter().any(|mark| matches!(mark, Mark::Dead | Mark::Stalled))
    {
        (Rank::Broken, tenths)
    } else if uneven || slow {
        (Rank::Uneven, tenths)
    } else if group.nics.iter().any(loses) {
        (Rank::Losing, tenths)
    } else if busy(group).next().is_some() {
        (Rank::Busy, Reverse(0))
    } else {
        (Rank::Quiet, Reverse(0))
    }
}

/// The greater max/mean of the directions that are busy, and whether it is an imbalance.
#[must_use]
pub fn worst_ratio(group: &GroupView) -> Option<(f64, Verdict)> {
    let of = |flow: &GroupFlow| Some((flow.spread.max_over_mean?, flow.spread.verdict));
    busy(group).filter_map(of).max_by(|a, b| a.0.total_cmp(&b.0))
}

fn busy(group: &GroupView) -> impl Iterator<Item = &GroupFlow> {
    [&group.tx, &group.rx].into_iter().filter(|flow| is_busy(flow))
}

/// Whether a direction moves enough for a word about its balance.
#[must_use]
pub fn is_busy(flow: &GroupFlow) -> bool {
    flow.bytes_per_s.is_some_and(|rate| rate >= BUSY_BYTES_PER_S)
}

/// Whether a NIC is not as it should be: its port is not active, its device is gone or not read, or its PE does without.
#[must_use]
pub fn is_broken(nic: &NicView) -> bool {
    nic.is_out() || nic.marks.iter().any(|mark| matches!(mark, Mark::Gone | Mark::Stale))
}

/// Whether packets are lost right now. Congestion alone is no loss.
#[must_use]
pub fn loses(nic: &NicView) -> bool {
    let rises = |quantity: Health| nic.health[quantity].per_s.is_some_and(|rate| rate > 0.0);
    [Health::Drops, Health::Retransmits, Health::Timeouts].into_iter().any(rises)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a ratio is between 1 and the number of NICs"
)]
fn tenths(ratio: f64) -> u64 {
    (ratio * 10.0).round().clamp(0.0, 1e9) as u64
}

/// How many NICs carry the load, in the direction in which they are fewest; `None` before there is a rate.
#[must_use]
pub fn active_nics(group: &GroupView) -> Option<usize> {
    let of = |flow: &GroupFlow| flow.spread.active_nics;
    let known = [&group.tx, &group.rx].into_iter().filter(|flow| flow.bytes_per_s.is_some());
    busy(group).map(of).min().or_else(|| known.map(of).max())
}

/// What is to be said of a group, the worst first, in as few words as possible: `mlx5_3 link DOWN`, `Rx single NIC: mlx5_1`,
/// `balanced`.
#[must_use]
pub fn words(group: &GroupView) -> String {
    let mut words = Vec::new();
    let mut broken = group.nics.iter().filter(|nic| is_broken(nic));
    if let Some(nic) = broken.next() {
        let more = broken.count();
        let what = match nic.not_active() {
            Some(state) => format!("link {state}"),
            None if nic.marks.contains(&Mark::Down) => "failed".to_owned(),
            None if nic.marks.contains(&Mark::Gone) => "gone".to_owned(),
            None => "not read".to_owned(),
        };
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        words.push(format!("{} {what}{more}", nic.device));
    }
    if group.marks.contains(&Mark::Dead) {
        words.push("its process has died".to_owned());
    } else if group.marks.contains(&Mark::Stalled) {
        words.push("its process has stalled".to_owned());
    }
    words.extend(uneven(group));
    let losing = group.nics.iter().filter(|nic| loses(nic)).count();
    if let Some(nic) = group.nics.iter().find(|nic| loses(nic)) {
        let more = if losing > 1 { format!(" +{}", losing - 1) } else { String::new() };
        words.push(format!("{}{more} loses packets", nic.device));
    }
    if words.is_empty() {
        words.push(quiet(group));
    }
    words.join(", ")
}

/// `Tx+Rx skewed: mlx5_1`, and the NIC that is far behind the others.
fn uneven(group: &GroupView) -> Option<String> {
    let ways = [("Tx", &group.tx), ("Rx", &group.rx)];
    let uneven: Vec<_> = ways.iter().filter(|(_, f)| is_busy(f) && f.spread.verdict.is_imbalance()).collect();
    let slow = ways.iter().find_map(|(way, flow)| {
        let slow = flow.distribution.filter(|_| is_busy(flow))?.slow?;
        Some((way, &group.nics.get(slow)?.device))
    });
    let ratio = |flow: &GroupFlow| flow.spread.max_over_mean.unwrap_or(0.0);
    let Some((way, worst)) = uneven.iter().max_by(|a, b| ratio(a.1).total_cmp(&ratio(b.1))) else {
        return slow.map(|(way, nic)| format!("{way} slow: {nic}"));
    };
    let same = uneven.len() == 2 && uneven[0].1.spread.verdict == uneven[1].1.spread.verdict;
    let way = if same { "Tx+Rx" } else { way };
    let verdict = worst.spread.verdict.word();
    // One that is far behind says more than the one that is a little ahead of the many others.
    let nic = match (slow, busiest(group, *way == *"Rx")) {
        (Some((_, slow)), _) => format!(": {slow} slow"),
        (None, Some(nic)) => format!(": {}", nic.device),
        (None, None) => String::new(),
    };
    Some(format!("{way} {verdict}{nic}"))
}

/// The NIC that moves most in a direction.
fn busiest(group: &GroupView, received: bool) -> Option<&NicView> {
    let rate = |nic: &&NicView| if received { nic.rx.bytes_per_s } else { nic.tx.bytes_per_s };
    group
        .nics
        .iter()
        .filter(|nic| rate(nic).is_some())
        .max_by(|a, b| rate(a).unwrap_or(0.0).total_cmp(&rate(b).unwrap_or(0.0)))
}

/// Of a group that nothing is wrong with.
fn quiet(group: &GroupView) -> String {
    let unread = group.tx.unread.max(group.rx.unread);
    let known = group.tx.bytes_per_s.is_some() || group.rx.bytes_per_s.is_some();
    match (busy(group).next(), known) {
        (_, false) => "no rate yet".to_owned(),
        (_, true) if unread > 0 => format!("{unread} unread"),
        (Some(_), true) => "balanced".to_owned(),
        (None, true) => "idle".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::counter::PerHealth;
    use crate::monitor::model::group;
    use crate::monitor::model::view::Flow;
    use crate::monitor::tui::synthetic::{Cluster, Shape};

    /// A group whose NICs send these many bytes per second and receive nothing.
    fn sends(rates: &[Option<f64>]) -> GroupView {
        let base = Cluster::default().view(Shape::PairSeq, 3).groups[0].clone();
        let nic = |(index, &bytes_per_s): (usize, &Option<f64>)| NicView {
            device: format!("m{index}"),
            tx: Flow { bytes: Some(1), bytes_per_s, ..Flow::default() },
            rx: Flow { bytes: Some(1), bytes_per_s: bytes_per_s.map(|_| 0.0), ..Flow::default() },
            marks: Vec::new(),
            health: PerHealth::default(),
            state: None,
            ..base.nics[0].clone()
        };
        let nics: Vec<NicView> = rates.iter().enumerate().map(nic).collect();
        group::with(&GroupView { nics: Vec::new(), marks: Vec::new(), ..base }, nics, 1.25)
    }

    fn all(rates: &[f64]) -> GroupView {
        sends(&rates.iter().map(|&rate| Some(rate)).collect::<Vec<_>>())
    }

    #[test]
    fn the_worst_comes_first_and_an_imbalance_of_next_to_nothing_is_none() {
        let single = all(&[8e9, 0.0, 0.0, 0.0]);
        let skewed = all(&[4e9, 4e9, 1e9, 1e9]);
        let even = all(&[4e9, 4e9, 4e9, 4e9]);
        let keepalives = all(&[800.0, 0.0, 0.0, 0.0]);
        let unknown = sends(&[None, None, None, None]);
        let mut down = even.clone();
        down.nics[1].state = Some("DOWN".to_owned());
        let mut loses = even.clone();
        loses.nics[2].health[Health::Retransmits].per_s = Some(3.0);
        let order = [&down, &single, &skewed, &loses, &even, &keepalives];
        let ranks: Vec<Badness> = order.iter().map(|group| badness(group)).collect();
        assert!(ranks.is_sorted(), "{ranks:?}");
        let distinct = ranks.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert_eq!((distinct, badness(&unknown).0), (0, Rank::Quiet), "{ranks:?}");
        let said: Vec<String> = order.iter().chain(&[&unknown]).map(|group| words(group)).collect();
        assert_eq!(
            said,
            [
                "m1 link DOWN",
                "Tx single NIC: m0",
                "Tx skewed: m1",
                "m2 loses packets",
                "balanced",
                "idle",
                "no rate yet"
            ]
        );
    }

    #[test]
    fn rows_that_are_alike_keep_their_places() {
        assert_eq!(badness(&all(&[8e9, 1e9, 1e9, 1e9])), badness(&all(&[8.01e9, 1e9, 1e9, 1e9])));
        assert_eq!(badness(&all(&[4.0e9, 4.1e9])), badness(&all(&[4.1e9, 4.0e9])));
        assert!(badness(&all(&[8e9, 1e9, 1e9, 1e9])) < badness(&all(&[4e9, 1e9, 1e9, 1e9])));
    }

    #[test]
    fn both_directions_and_a_nic_that_is_behind() {
        let mut group = all(&[8e9, 0.0, 0.0, 0.0]);
        group.rx = group.tx;
        assert_eq!(words(&group), "Tx+Rx single NIC: m0");
        let slow = all(&[4e9, 4e9, 4e9, 4e9, 4e9, 4e9, 4e9, 0.5e9]);
        assert_eq!((badness(&slow).0, words(&slow).as_str()), (Rank::Uneven, "Tx slow: m7"));
    }
}
