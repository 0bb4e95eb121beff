//! What a report says, as tables: the text and the page show the same ones.

use std::collections::{BTreeMap, BTreeSet};

use super::line::Nic;
use super::run::{Key, Run, Shape};
use crate::balance::{Direction, max_over_mean};
use crate::stats::Quantiles;
use crate::text::plural;
use crate::units::format_size;

/// A table: titles, and rows of as many cells. The first column is text, the others are figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    pub(super) title: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// What is missing.
pub(super) const MISSING: &str = "-";

/// A line of a chart, or a column of a table: a value per size.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Series {
    pub(super) name: String,
    /// Which colour and mark it has: a policy's own, in every chart, where the lines are policies and no more.
    pub(super) look: usize,
    /// By size; of several runs the median.
    pub(super) points: BTreeMap<u64, f64>,
}

/// All lines of one chart.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Chart {
    pub(super) title: String,
    /// What the values are.
    pub(super) unit: String,
    /// What the points are at.
    pub(super) axis: Axis,
    pub(super) series: Vec<Series>,
}

/// What a chart's lines run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Axis {
    /// Bytes.
    #[default]
    Size,
    /// Nodes, at one size.
    Nodes,
}

impl Axis {
    /// The axis's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Nodes => "nodes",
        }
    }

    /// A point on it.
    pub(super) fn show(self, at: u64) -> String {
        match self {
            Self::Size => format_size(at),
            Self::Nodes => at.to_string(),
        }
    }
}

/// By series and size all values that were measured.
type Lines = BTreeMap<Order, BTreeMap<u64, Vec<f64>>>;

/// A chart per pattern and shape of cluster: how fast each policy was at each size; and one per pattern and size where clusters
/// differ in their number of nodes alone.
pub(super) fn charts(runs: &[Run]) -> Vec<Chart> {
    let mut values: BTreeMap<(String, Shape), Lines> = BTreeMap::new();
    let mut clusters: BTreeMap<Cluster, Lines> = BTreeMap::new();
    for run in runs {
        for row in &run.rows {
            let Some(rate) = row.bw_gb_per_s.or(row.busbw_gb_per_s) else { continue };
            let key = Key::of(run, row);
            if key.moe.phase.is_some() {
                // Its sizes are not what it is looked at by: `moe` has it.
                continue;
            }
            let order = Order::of(&key);
            if let Some((nodes, cluster)) = Cluster::of(&key) {
                let lines = clusters.entry(cluster).or_default();
                lines.entry(order.clone()).or_default().entry(nodes).or_default().push(rate);
            }
            let chart = values.entry((key.bench.clone(), key.shape.clone())).or_default();
            chart.entry(order).or_default().entry(key.size).or_default().push(rate);
        }
    }
    clusters.retain(|_, lines| {
        let nodes: BTreeSet<u64> = lines.values().flat_map(|points| points.keys().copied()).collect();
        nodes.len() > 1
    });
    // One size of one cluster is a point of those: it needs no chart of its own.
    values.retain(|(bench, shape), lines| {
        let sizes: BTreeSet<u64> = lines.values().flat_map(|points| points.keys().copied()).collect();
        let told = sizes.first().and_then(|&size| Cluster::at(bench, shape, size));
        !(sizes.len() == 1 && told.is_some_and(|(_, cluster)| clusters.contains_key(&cluster)))
    });
    let by_size = values.into_iter().map(|((bench, shape), lines)| {
        let title = format!("{}: {}", what(&bench), shape.words());
        chart(title, &bench, Axis::Size, lines)
    });
    let by_nodes = clusters.into_iter().map(|(cluster, lines)| {
        let Cluster { bench, size, shape } = &cluster;
        let pes = shape.pes.map_or_else(String::new, |pes| format!("{} each, ", plural(pes, "PE")));
        let rest = Shape { pes: None, ..shape.clone() }.words();
        let title = format!("{} of {} by nodes: {pes}{rest}", what(bench), format_size(*size));
        chart(title, bench, Axis::Nodes, lines)
    });
    by_nodes.chain(by_size).collect()
}

fn chart(title: String, bench: &str, axis: Axis, lines: Lines) -> Chart {
    let looks = looks(lines.keys());
    let series = lines.into_iter().zip(looks).map(|((order, points), look)| Series {
        look,
        name: order.name,
        points: points.into_iter().map(|(at, values)| (at, median(&values))).collect(),
    });
    let unit = if bench == "alltoall" { "busbw, GB/s" } else { "GB/s" };
    Chart { title, unit: unit.to_owned(), axis, series: series.collect() }
}

/// What is compared over numbers of nodes: everything of a row but those.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cluster {
    bench: String,
    size: u64,
    /// Without nodes, and with the PEs of each node in place of all.
    shape: Shape,
}

impl Cluster {
    fn of(key: &Key) -> Option<(u64, Self)> {
        Self::at(&key.bench, &key.shape, key.size)
    }

    /// With its number of nodes; `None` where that is not known, or nodes have different numbers of PEs.
    fn at(bench: &str, shape: &Shape, size: u64) -> Option<(u64, Self)> {
        let (nodes, pes) = (shape.nodes?, shape.pes?);
        let each = pes.checked_div(nodes).filter(|each| each * nodes == pes)?;
        let shape = Shape { nodes: None, pes: Some(each), ..shape.clone() };
        Some((nodes, Self { bench: bench.to_owned(), size, shape }))
    }
}

/// What a pattern is called.
fn what(bench: &str) -> &str {
    match bench {
        "put" => "Put",
        "alltoall" => "All-to-all",
        "moe" => "MoE dispatch and combine",
        other => other,
    }
}

/// Policies in the order of the story, the others after them by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    rank: usize,
    pub(super) name: String,
}

/// The policies in the order of the story: one NIC, the collapse, the mend, and what is beyond it.
const STORY: [&str; 6] =
    ["single", "round-robin", "round-robin-offset", "pair-seq", "stripe", "least-loaded"];

fn rank(policy: &str) -> usize {
    STORY.iter().position(|&known| known == policy).unwrap_or(STORY.len())
}

impl Order {
    pub(super) fn of(key: &Key) -> Self {
        Self { rank: rank(&key.policy), name: key.series() }
    }

    fn is_plain(&self) -> bool {
        STORY.get(self.rank).is_some_and(|&policy| policy == self.name)
    }
}

/// How many looks can be told apart.
pub(super) const LOOKS: usize = 8;

/// Colour and mark of each series: a policy's own where it is all there is to say, else one that is still free.
pub(super) fn looks<'o>(orders: impl Iterator<Item = &'o Order> + Clone) -> Vec<usize> {
    let mut taken: Vec<usize> =
        orders.clone().filter(|order| order.is_plain()).map(|order| order.rank).collect();
    let mut free = |index: usize| {
        let look = (0..LOOKS).rev().find(|look| !taken.contains(look)).unwrap_or(index % LOOKS);
        taken.push(look);
        look
    };
    let look = |(index, order): (usize, &Order)| if order.is_plain() { order.rank } else { free(index) };
    orders.enumerate().map(look).collect()
}

/// The middle one, or the mean of the two in the middle; of nothing 0.
pub(super) fn median(values: &[f64]) -> f64 {
    Quantiles::of(values).map_or(0.0, |of| of.median)
}

impl Chart {
    /// The same as figures.
    pub(super) fn table(&self) -> Table {
        let mut sizes: Vec<u64> =
            self.series.iter().flat_map(|series| series.points.keys().copied()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let head =
            std::iter::once(self.axis.name().to_owned()).chain(self.series.iter().map(|s| s.name.clone()));
        let row = |size: &u64| {
            let cell = |s: &Series| s.points.get(size).map_or_else(|| MISSING.to_owned(), |&v| figure(v));
            std::iter::once(self.axis.show(*size)).chain(self.series.iter().map(cell)).collect()
        };
        Table {
            title: format!("{} ({})", self.title, self.unit),
            head: head.collect(),
            rows: sizes.iter().map(row).collect(),
        }
    }
}

/// Three digits that count.
pub(super) fn figure(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        v if v >= 0.01 => 4,
        _ => 6,
    };
    format!("{value:.digits$}")
}

/// Runs that would have one name: they are told apart by their files.
struct Several<'r>(BTreeMap<(Option<&'r str>, &'r Shape, &'r str), usize>);

impl<'r> Several<'r> {
    fn of(runs: &'r [Run]) -> Self {
        let mut counts = BTreeMap::new();
        for run in runs {
            for policy in run.policies() {
                *counts.entry((run.bench(), run.shape(), policy)).or_insert(0) += 1;
            }
        }
        Self(counts)
    }

    /// `, of a.jsonl` where there are several of the name.
    fn which(&self, run: &Run, policy: &str) -> String {
        let several = self.0.get(&(run.bench(), run.shape(), policy)).is_some_and(|&count| count > 1);
        if several { format!(", of {}", run.file) } else { String::new() }
    }
}

/// How evenly each run's NICs shared what they moved.
pub(super) fn balance(runs: &[Run]) -> Option<Table> {
    let mut rows: BTreeMap<(&str, Shape, usize), Vec<Vec<String>>> = BTreeMap::new();
    let several = Several::of(runs);
    for run in runs {
        for policy in run.policies() {
            let of = |way: Direction| run.balances.iter().find(|b| b.policy == policy && b.direction == way);
            let (tx, rx) = (of(Direction::Tx), of(Direction::Rx));
            if tx.is_none() && rx.is_none() {
                continue;
            }
            let ratio = |value: Option<f64>| value.map_or_else(|| MISSING.to_owned(), |v| format!("{v:.2}"));
            let active = |way: Option<&super::line::Balance>| {
                let known = way.and_then(|b| Some((b.active_nics?, b.nics?)));
                known.map_or_else(|| MISSING.to_owned(), |(active, all)| format!("{active} of {all}"))
            };
            let order = (run.bench().unwrap_or("run"), run.shape().clone(), rank(policy));
            let cells = vec![
                format!("{} {}, {}{}", order.0, policy, order.1.words(), several.which(run, policy)),
                ratio(tx.and_then(|b| b.max_over_mean)),
                active(tx),
                ratio(rx.and_then(|b| b.max_over_mean)),
                active(rx),
                ratio(rx.and_then(|b| b.p99_window_max_over_mean)),
            ];
            rows.entry(order).or_default().push(cells);
        }
    }
    let head = ["run", "Tx max/mean", "NICs", "Rx max/mean", "NICs", "Rx, short windows, p99"];
    (!rows.is_empty()).then(|| Table {
        title: "Balance: the worst PE's busiest NIC over the mean of its NICs (1 is even)".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: rows.into_values().flatten().collect(),
    })
}

/// What each NIC moved under a policy, of the PE that is most uneven in each direction.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Bars {
    pub(super) policy: String,
    /// `PE 3 on node1, the most uneven of 8`.
    pub(super) whose: String,
    /// Name, bytes sent, bytes received.
    pub(super) nics: Vec<(String, u64, u64)>,
}

/// By pattern and cluster: what the NICs of the most uneven PE moved under each policy.
pub(super) fn bars(runs: &[Run]) -> Vec<(String, Vec<Bars>)> {
    let mut all: BTreeMap<(&str, Shape), Vec<Bars>> = BTreeMap::new();
    let several = Several::of(runs);
    for run in runs {
        let bars = run.policies().filter_map(|policy| {
            let bars = bars_of(run, policy)?;
            Some(Bars { whose: format!("{}{}", bars.whose, several.which(run, policy)), ..bars })
        });
        all.entry((run.bench().unwrap_or("run"), run.shape().clone())).or_default().extend(bars);
    }
    all.retain(|_, bars| !bars.is_empty());
    for bars in all.values_mut() {
        bars.sort_by_key(|bars| rank(&bars.policy));
    }
    all.into_iter()
        .map(|((bench, shape), bars)| (format!("{}: {}", what(bench), shape.words()), bars))
        .collect()
}

fn bars_of(run: &Run, policy: &str) -> Option<Bars> {
    let mut by_pe: BTreeMap<u64, Vec<&Nic>> = BTreeMap::new();
    for nic in run.nics.iter().filter(|nic| nic.policy == policy) {
        by_pe.entry(nic.pe).or_default().push(nic);
    }
    let (tx, rx) = (worst(&by_pe, |nic| nic.tx_bytes), worst(&by_pe, |nic| nic.rx_bytes));
    let (sender, receiver) = (tx.or(rx)?, rx.or(tx)?);
    let name = |pe: u64| {
        let node = by_pe.get(&pe).and_then(|nics| nics.first()?.node.as_ref());
        format!("PE {pe}{}", node.map_or_else(String::new, |node| format!(" on {node}")))
    };
    let who = if sender == receiver {
        name(sender)
    } else {
        format!("Tx of {}, Rx of {}", name(sender), name(receiver))
    };
    let of =
        if by_pe.len() > 1 { format!(", the most uneven of {} PEs", by_pe.len()) } else { String::new() };
    let (tx, rx) = (by_pe.get(&sender)?, by_pe.get(&receiver)?);
    let nic = |(index, (sent, received)): (usize, (&&Nic, &&Nic))| {
        // NICs of two PEs have two names; what they have in common is their place.
        let name = if sent.name == received.name { sent.name.clone() } else { format!("NIC {index}") };
        (name, sent.tx_bytes, received.rx_bytes)
    };
    Some(Bars {
        policy: policy.to_owned(),
        whose: format!("{who}{of}"),
        nics: tx.iter().zip(rx).enumerate().map(nic).collect(),
    })
}

/// The PE whose NICs share a direction worst; of several that are as uneven the first.
fn worst(by_pe: &BTreeMap<u64, Vec<&Nic>>, of: fn(&Nic) -> u64) -> Option<u64> {
    let uneven = |nics: &[&Nic]| max_over_mean(&nics.iter().map(|nic| of(nic) as f64).collect::<Vec<_>>());
    let known = by_pe.iter().filter_map(|(&pe, nics)| Some((pe, uneven(nics)?)));
    Some(known.reduce(|worst, next| if next.1 > worst.1 { next } else { worst })?.0)
}

impl Bars {
    /// The same as figures.
    pub(super) fn table(&self, of: &str) -> Table {
        Table {
            title: format!("{of}: {}: {}", self.policy, self.whose),
            head: ["NIC", "Tx bytes", "Rx bytes"].map(str::to_owned).to_vec(),
            rows: self
                .nics
                .iter()
                .map(|(name, tx, rx)| vec![name.clone(), tx.to_string(), rx.to_string()])
                .collect(),
        }
    }
}

/// Where and how each run was made.
pub(super) fn runs(runs: &[Run]) -> Table {
    let row = |run: &Run| {
        let h = &run.header;
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| MISSING.to_owned());
        let machine = [
            h.host.clone(),
            h.cpu.clone(),
            h.cores.map(|cores| format!("{cores} cores")),
            h.gpu.clone(),
            h.kernel.clone().map(|kernel| format!("Linux {kernel}")),
        ];
        let machine: Vec<String> = machine.into_iter().flatten().collect();
        let library = [h.libfabric.clone().map(|v| format!("libfabric {v}")), h.provider.clone()];
        let library: Vec<String> = library.into_iter().flatten().collect();
        let or_missing = |words: Vec<String>| {
            if words.is_empty() { MISSING.to_owned() } else { words.join(", ") }
        };
        let command = if h.command.is_empty() { MISSING.to_owned() } else { h.command.join(" ") };
        vec![
            run.file.clone(),
            or(&h.started),
            or_missing(machine),
            or_missing(library),
            or(&h.version),
            command,
        ]
    };
    Table {
        title: "Runs".to_owned(),
        head: ["file", "begun", "machine", "library", "railtop", "command"].map(str::to_owned).to_vec(),
        rows: runs.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests;
