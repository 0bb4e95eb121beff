//! Other machines: how each is, and which group of all is the worst.

use std::cmp::Reverse;
use std::ops::Range;
use std::time::Duration;

use super::view::{CounterView, Flow, GroupFlow, GroupView, Mark, NicView, View};
use crate::balance::{BUSY_BYTES_PER_S, Verdict};
use crate::monitor::counter::Health;

/// The gauge of how many of a port's counters stand at their maximum, as an exporter's page has it.
pub const SATURATED: &str = "rdma_port_saturated_counters";

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
    /// Answers with newer numbers than the one before: an exporter gives the same read to all who ask within a second.
    pub reads: u64,
    /// Its groups among those of the view; empty as long as there are no numbers of now.
    pub groups: Range<usize>,
}

impl RemoteView {
    /// Whether there are no numbers of now, and no reason to expect them in a moment: something is wrong with it, or it sees no
    /// NIC.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        self.state.is_trouble() || (self.state == RemoteState::Live && self.groups.is_empty())
    }

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
    /// Packets lost, sent again, or not answered in time, or a counter that would not tell it any more.
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
        let alone = node.groups.is_empty().then_some(((Rank::Unknown, Reverse(0)), Entry::Node(at)));
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
    } else if group.nics.iter().any(|nic| loses(nic) || is_full(nic)) {
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

/// Whether a counter stands at its maximum: what it does not count any more does not look like nothing.
#[must_use]
pub fn is_full(nic: &NicView) -> bool {
    let told = |counter: &CounterView| counter.name() == SATURATED && counter.value > 0;
    nic.counters.iter().any(|counter| counter.saturated || told(counter))
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
    if let Some(nic) = group.nics.iter().find(|nic| is_full(nic)) {
        words.push(format!("{} has counters at their maximum", nic.device));
    }
    words.join(", ")
}

/// `Tx+Rx skewed: mlx5_1`, `Rx slow: mlx5_3`: what is wrong with each direction and the NIC that stands out in it, the worse one
/// first; once where both are the same.
fn uneven(group: &GroupView) -> Option<String> {
    let tx = uneven_way(group, &group.tx, |nic| nic.tx);
    let rx = uneven_way(group, &group.rx, |nic| nic.rx);
    let worse =
        |flow: &GroupFlow| (flow.spread.verdict.is_imbalance(), flow.spread.max_over_mean.unwrap_or(0.0));
    match (tx, rx) {
        (Some(tx), Some(rx)) if tx == rx => Some(format!("Tx+Rx {tx}")),
        (Some(tx), Some(rx)) if worse(&group.rx) > worse(&group.tx) => Some(format!("Rx {rx}, Tx {tx}")),
        (Some(tx), Some(rx)) => Some(format!("Tx {tx}, Rx {rx}")),
        (Some(tx), None) => Some(format!("Tx {tx}")),
        (None, Some(rx)) => Some(format!("Rx {rx}")),
        (None, None) => None,
    }
}

/// What is wrong with one direction.
fn uneven_way(group: &GroupView, flow: &GroupFlow, of: fn(&NicView) -> Flow) -> Option<String> {
    if !is_busy(flow) {
        return None;
    }
    let slow = flow.distribution.and_then(|of| of.slow).and_then(|slow| group.nics.get(slow));
    let verdict = flow.spread.verdict;
    // One that is far behind says more than the one that is a little ahead of the many others.
    match (verdict.is_imbalance(), slow) {
        (true, Some(slow)) => Some(format!("{}: {} slow", verdict.word(), slow.device)),
        (true, None) => {
            let rate = |nic: &&NicView| of(nic).bytes_per_s;
            let known = group.nics.iter().filter(|nic| rate(nic).is_some());
            let busiest = known.max_by(|a, b| rate(a).unwrap_or(0.0).total_cmp(&rate(b).unwrap_or(0.0)))?;
            Some(format!("{}: {}", verdict.word(), busiest.device))
        }
        (false, Some(slow)) => Some(format!("slow: {}", slow.device)),
        (false, None) => None,
    }
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

    /// A group whose NICs send and receive these many bytes per second.
    fn moves(sent: &[f64], received: &[f64]) -> GroupView {
        let mut group = all(sent);
        let nics: Vec<NicView> = group
            .nics
            .drain(..)
            .zip(received)
            .map(|(nic, &rate)| NicView { rx: Flow { bytes_per_s: Some(rate), ..nic.rx }, ..nic })
            .collect();
        group::with(&group, nics, 1.25)
    }

    #[test]
    fn each_direction_names_its_own_nic() {
        let said = |sent: &[f64], received: &[f64]| words(&moves(sent, received));
        let (first, last) = ([8e9, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 8e9]);
        assert_eq!(said(&first, &first), "Tx+Rx single NIC: m0");
        assert_eq!(said(&first, &last), "Tx single NIC: m0, Rx single NIC: m3");
        assert_eq!(said(&[4e9, 4e9, 4.1e9, 1e9], &last), "Rx single NIC: m3, Tx skewed: m3 slow");
        assert_eq!(said(&[4e9, 1e9, 1e9, 1e9], &[1e9, 3e9, 1e9, 1e9]), "Tx skewed: m0, Rx skewed: m1");
        assert_eq!(said(&[4e9; 4], &[1e9, 3e9, 1e9, 1e9]), "Rx skewed: m1");
        // Far behind the others in one direction, and too many NICs for that to be an imbalance.
        let mut behind = [4e9; 8];
        behind[7] = 0.5e9;
        assert_eq!(said(&[4e9; 8], &behind), "Rx slow: m7");
        assert_eq!(said(&behind, &behind), "Tx+Rx slow: m7");
        let mut other = [4e9; 8];
        other[2] = 0.5e9;
        assert_eq!(said(&behind, &other), "Tx slow: m7, Rx slow: m2");
        let single = [8e9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(said(&behind, &single), "Rx single NIC: m0, Tx slow: m7");
    }

    #[test]
    fn a_counter_that_counts_no_more_is_not_quiet() {
        let mut group = all(&[0.0, 0.0]);
        let desc = crate::monitor::counter::Desc::unknown(SATURATED.to_owned());
        let mut counter =
            CounterView { desc: std::sync::Arc::new(desc), value: 0, per_s: None, saturated: false };
        group.nics[1].counters = vec![counter.clone()];
        assert_eq!((badness(&group).0, words(&group).as_str()), (Rank::Quiet, "idle"));
        counter.value = 1;
        group.nics[1].counters = vec![counter];
        assert_eq!(badness(&group).0, Rank::Losing);
        assert_eq!(words(&group), "idle, m1 has counters at their maximum");
    }

    #[test]
    fn a_node_without_numbers_comes_before_all_others() {
        let node = |state, groups| RemoteView {
            name: String::new(),
            place: String::new(),
            state,
            reason: None,
            age: None,
            took: None,
            counts: [0, 0],
            reads: 0,
            groups,
        };
        let mut view = Cluster::default().view(Shape::PairSeq, 3);
        view.groups = vec![all(&[8e9, 0.0])];
        let states = [RemoteState::Asked, RemoteState::Live, RemoteState::Lost];
        let mut nodes: Vec<RemoteView> = states.into_iter().map(|state| node(state, 0..0)).collect();
        nodes.insert(0, node(RemoteState::Live, 0..1));
        assert_eq!(nodes.iter().map(RemoteView::is_trouble).collect::<Vec<_>>(), [false, false, true, true]);
        view.fleet = Some(nodes.into());
        let mut entries: Vec<_> = entries(&view).collect();
        entries.sort_by_key(|(badness, _)| *badness);
        let order: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
        assert_eq!(order, [Entry::Node(1), Entry::Node(2), Entry::Node(3), Entry::Group(0, 0)]);
    }

    #[test]
    fn a_nic_that_is_behind() {
        let slow = all(&[4e9, 4e9, 4e9, 4e9, 4e9, 4e9, 4e9, 0.5e9]);
        assert_eq!((badness(&slow).0, words(&slow).as_str()), (Rank::Uneven, "Tx slow: m7"));
    }
}
