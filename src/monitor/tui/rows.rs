//! The list's rows: which nodes, groups and NICs are shown, in which order, under a sort and a filter.

use std::collections::HashMap;

use unicode_width::UnicodeWidthStr as _;

use super::glyphs::Glyphs;
use super::summary::Direction;
use crate::monitor::model::view::{GroupKind, GroupView, Mark, NicView, View};

/// Identity of a row across ticks. The selection and the history hold on to this, never to a position.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum RowKey {
    /// The job on a node: its name, where it has one, and the node's.
    Node(Option<String>, String),
    /// A group's key.
    Group(String),
    /// A group's and a NIC's key.
    Nic(String, String),
    /// One direction of a group.
    Way(String, Direction),
    /// A process id.
    Process(u32),
    /// When an event was seen, and what it says.
    Event(u64, String),
    /// A GPU's index.
    Gpu(u32),
    /// A node that is watched from afar and has no group to show, by its name.
    Remote(String),
}

/// What a row shows; indices are those of the view it was built from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RowKind {
    Node { groups: Vec<usize> },
    Group { group: usize, folded: bool },
    Nic { group: usize, nic: usize },
    Way { group: usize, direction: Direction },
    Process(usize),
    Event(usize),
    Gpu(usize),
    Remote(usize),
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) key: RowKey,
    pub(super) kind: RowKind,
}

/// Order of the rows; each tab has some of these. In the list: of the groups, and of the NICs within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Sort {
    /// As the view has them: node, PE or GPU, rail.
    #[default]
    Natural,
    /// Most sent first.
    Tx,
    /// Most received first.
    Rx,
    /// Worst max/mean first; NICs stay in the order of their rails.
    Imbalance,
    /// What needs somebody first: nodes without numbers, NICs that are down, traffic that is not shared.
    #[value(skip)]
    Worst,
    /// Most queue pairs first.
    #[value(skip)]
    QueuePairs,
    /// By process id.
    #[value(skip)]
    Pid,
    /// Most memory first.
    #[value(skip)]
    Memory,
    /// As it happened.
    #[value(skip)]
    NewestLast,
    /// The other way round.
    #[value(skip)]
    NewestFirst,
    /// Most urgent first, of those the newest.
    #[value(skip)]
    Severity,
    /// By index.
    #[value(skip)]
    Index,
    /// Busiest first.
    #[value(skip)]
    Busy,
}

impl Sort {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Natural => "natural",
            Self::Tx => "Tx",
            Self::Rx => "Rx",
            Self::Imbalance => "imbalance",
            Self::Worst => "worst",
            Self::QueuePairs => "QPs",
            Self::Pid => "PID",
            Self::Memory => "memory",
            Self::NewestLast => "newest last",
            Self::NewestFirst => "newest first",
            Self::Severity => "severity",
            Self::Index => "index",
            Self::Busy => "busy",
        }
    }
}

/// The worse direction's max/mean.
pub(super) fn worst(group: &GroupView) -> Option<f64> {
    let (tx, rx) = (group.tx.spread.max_over_mean, group.rx.spread.max_over_mean);
    match (tx, rx) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

/// A group's name without its node: `PE 3`, `GPU 53:00.0`, or the node itself.
pub(super) fn short_name(group: &GroupView) -> String {
    group.short_name()
}

/// What a group of this kind is called.
pub(super) fn word(kind: GroupKind) -> &'static str {
    match kind {
        GroupKind::Pe => "PE",
        GroupKind::Gpu => "GPU",
        GroupKind::Numa => "NUMA node",
        GroupKind::Node => "group",
    }
}

/// A group's name with its node: `node0 PE 3`.
pub(super) fn full_name(group: &GroupView) -> String {
    let short = short_name(group);
    if short == group.node { short } else { format!("{} {short}", group.node) }
}

/// A group's name, with its node's unless there is no other node that it could be of.
pub(super) fn name(group: &GroupView, one_node: bool) -> String {
    if one_node { short_name(group) } else { full_name(group) }
}

/// Whether all groups are of one node.
pub(super) fn one_node(view: &View) -> bool {
    view.groups.windows(2).all(|pair| pair[0].node == pair[1].node)
}

/// A name of a node or PE with its job's, where there are several. What does not fit into `width` is cut from the front
/// of the job's name: the names of jobs differ at their ends.
pub(super) fn with_job(name: &str, job: Option<&str>, width: u16, glyphs: Glyphs) -> String {
    let Some(job) = job else { return name.to_owned() };
    let mut tail = job;
    let mut mark = "";
    while name.width() + 1 + mark.width() + tail.width() > usize::from(width) {
        let mut chars = tail.chars();
        if chars.next().is_none() {
            break;
        }
        (tail, mark) = (chars.as_str(), glyphs.ellipsis());
    }
    format!("{name} {mark}{tail}")
}

/// Whether groups of several jobs are shown, so that a node's and a PE's number alone do not tell them apart.
pub(super) fn several_jobs(view: &View) -> bool {
    let mut jobs = view.groups.iter().filter_map(|group| group.job.as_deref());
    let first = jobs.next();
    jobs.any(|job| Some(job) != first)
}

/// Whether the PE ended without a word: it is shown last and counts nowhere.
pub(super) fn is_dead(group: &GroupView) -> bool {
    group.marks.contains(&Mark::Dead)
}

/// The key of the heading that a group stands under.
pub(super) fn node_key(group: &GroupView) -> RowKey {
    RowKey::Node(group.job.clone(), group.node.clone())
}

/// Builds the rows. `folded` says whether a group shows its heading only.
pub(super) fn build(view: &View, sort: Sort, filter: &str, folded: impl Fn(&str) -> bool) -> Vec<Row> {
    let needle = filter.trim().to_lowercase();
    let mut groups: Vec<(usize, Vec<usize>)> =
        view.groups.iter().enumerate().filter_map(|(i, g)| Some((i, matching(g, &needle)?))).collect();
    let descending = |a: Option<f64>, b: Option<f64>| b.unwrap_or(-1.0).total_cmp(&a.unwrap_or(-1.0));
    let group = |i: usize| &view.groups[i];
    // Stable sorts: equal rows keep their natural order and do not dance.
    match sort {
        Sort::Tx => groups.sort_by(|a, b| descending(group(a.0).tx.bytes_per_s, group(b.0).tx.bytes_per_s)),
        Sort::Rx => groups.sort_by(|a, b| descending(group(a.0).rx.bytes_per_s, group(b.0).rx.bytes_per_s)),
        Sort::Imbalance => groups.sort_by(|a, b| descending(worst(group(a.0)), worst(group(b.0)))),
        _ => {}
    }
    let with_nodes = sort == Sort::Natural && node_lines(view);
    if with_nodes {
        dead_last_by_node(view, &mut groups);
    } else {
        groups.sort_by_key(|&(i, _)| is_dead(group(i)));
    }
    let mut rows = Vec::new();
    let mut node: Option<RowKey> = None;
    for (position, (index, nics)) in groups.iter().enumerate() {
        let this = group(*index);
        let key = node_key(this);
        if with_nodes && node.as_ref() != Some(&key) {
            let same = groups[position..].iter().take_while(|(i, _)| node_key(group(*i)) == key);
            let kind = RowKind::Node { groups: same.map(|(i, _)| *i).collect() };
            rows.push(Row { key: key.clone(), kind });
            node = Some(key);
        }
        let folded = folded(&this.key);
        rows.push(Row {
            key: RowKey::Group(this.key.clone()),
            kind: RowKind::Group { group: *index, folded },
        });
        if folded {
            continue;
        }
        let mut nics = nics.clone();
        match sort {
            Sort::Tx => {
                nics.sort_by(|&a, &b| descending(this.nics[a].tx.bytes_per_s, this.nics[b].tx.bytes_per_s));
            }
            Sort::Rx => {
                nics.sort_by(|&a, &b| descending(this.nics[a].rx.bytes_per_s, this.nics[b].rx.bytes_per_s));
            }
            _ => {}
        }
        rows.extend(nics.iter().map(|&nic| Row {
            key: RowKey::Nic(this.key.clone(), this.nics[nic].key.clone()),
            kind: RowKind::Nic { group: *index, nic },
        }));
    }
    rows
}

/// Whether nodes get a line of their own: only where a node has several groups.
pub(super) fn node_lines(view: &View) -> bool {
    view.groups.windows(2).any(|pair| node_key(&pair[0]) == node_key(&pair[1]))
}

/// Puts the dead last below each heading, and headings with nobody alive last of all.
fn dead_last_by_node(view: &View, groups: &mut [(usize, Vec<usize>)]) {
    let mut order: HashMap<RowKey, (bool, usize)> = HashMap::new();
    for (index, group) in view.groups.iter().enumerate() {
        let place = order.entry(node_key(group)).or_insert((true, index));
        place.0 &= is_dead(group);
    }
    groups.sort_by_key(|&(i, _)| (order.get(&node_key(&view.groups[i])).copied(), is_dead(&view.groups[i])));
}

/// The NICs of a group that pass the filter: all when the group itself does, `None` when none does.
pub(super) fn matching(group: &GroupView, needle: &str) -> Option<Vec<usize>> {
    let all = || (0..group.nics.len()).collect();
    if needle.is_empty() {
        return Some(all());
    }
    let has = |text: &str| text.to_lowercase().contains(needle);
    let about = [Some(full_name(group)), group.gpu.clone(), group.job.clone(), group.policy.clone()];
    if about.iter().flatten().any(|text| has(text)) {
        return Some(all());
    }
    let of_nic = |nic: &NicView| {
        has(&nic.device)
            || has(&nic.driver)
            || nic.netdev.as_deref().is_some_and(has)
            || nic.pci.as_deref().is_some_and(has)
    };
    let nics: Vec<usize> =
        group.nics.iter().enumerate().filter(|(_, nic)| of_nic(nic)).map(|(i, _)| i).collect();
    (!nics.is_empty()).then_some(nics)
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Cluster, Shape};
    use super::*;
    use test_case::test_case;

    #[test_case("", 2 + 8 + 32; "everything")]
    #[test_case("nic2", 2 + 8 + 8; "one NIC of each group")]
    #[test_case("NODE1", 1 + 4 + 16; "a node, any case")]
    #[test_case("pe 3", 1 + 1 + 4; "a PE")]
    #[test_case("nothing like it", 0; "nothing")]
    fn filters(filter: &str, rows: usize) {
        let view = Cluster::default().view(Shape::PairSeq, 3);
        assert_eq!(build(&view, Sort::Natural, filter, |_| false).len(), rows);
    }

    #[test]
    fn sorts_by_imbalance_with_the_worst_first() {
        let mut view = Cluster::default().view(Shape::PairSeq, 3);
        view.groups[5].rx.spread.max_over_mean = Some(4.0);
        let rows = build(&view, Sort::Imbalance, "", |_| true);
        assert_eq!(rows[0].key, RowKey::Group(view.groups[5].key.clone()));
        assert_eq!(rows.len(), 8, "no node lines under a sort that mixes nodes");
    }

    #[test]
    fn jobs_on_the_same_nodes_have_headings_of_their_own_and_the_dead_come_last() {
        let cluster = Cluster { nodes: 1, pes_per_node: 2, ..Cluster::default() };
        let mut view = cluster.view(Shape::PairSeq, 3);
        for mut group in cluster.view(Shape::PairSeq, 3).groups {
            (group.key, group.job) = (format!("b/{}", group.key), Some("b".to_owned()));
            view.groups.push(group);
        }
        view.groups[0].marks = vec![Mark::Dead];
        let rows = |view: &View| build(view, Sort::Natural, "", |_| true).into_iter().map(|r| r.key);
        let node = |job: &str| RowKey::Node(Some(job.to_owned()), "node0".to_owned());
        let group = |key: &str| RowKey::Group(key.to_owned());
        assert_eq!(
            rows(&view).collect::<Vec<_>>(),
            [
                node("alltoall-1"),
                group("job-1/1"),
                group("job-1/0"),
                node("b"),
                group("b/job-1/0"),
                group("b/job-1/1")
            ]
        );
        view.groups[1].marks = vec![Mark::Dead];
        assert_eq!(rows(&view).next(), Some(node("b")));
        let sorted = build(&view, Sort::Tx, "", |_| true);
        assert!(
            sorted[..2].iter().all(|row| matches!(&row.key, RowKey::Group(key) if key.starts_with("b/")))
        );
        assert!(several_jobs(&view));
    }

    #[test_case(40, "node0 lab-24208"; "fits")]
    #[test_case(12, "node0 …24208"; "the end tells jobs apart")]
    #[test_case(3, "node0 …"; "no room")]
    fn jobs_are_told_apart_in_little_room(width: u16, expected: &str) {
        assert_eq!(with_job("node0", Some("lab-24208"), width, Glyphs::Unicode), expected);
        assert_eq!(with_job("node0", None, width, Glyphs::Unicode), "node0");
    }
}
