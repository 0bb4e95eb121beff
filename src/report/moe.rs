//! MoE dispatch and combine: how fast each phase was for each number of tokens, a bar for each policy.

use std::collections::{BTreeMap, BTreeSet};

use super::run::{Key, Run, Shape};
use super::tables::{MISSING, Order, Table, figure, looks, median};

/// A configuration on a cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Moe {
    /// `MoE with 64 experts, 6 per token, dim 2048: 2 nodes, 4 PEs, …`.
    pub(super) title: String,
    /// Policies, and what else differs, with the look they have in every chart.
    pub(super) series: Vec<(String, usize)>,
    /// Dispatch, combine and the plain all-to-all, as far as they were run.
    pub(super) phases: Vec<Phase>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Phase {
    pub(super) name: String,
    /// By tokens of each PE, a figure for each series.
    pub(super) tokens: BTreeMap<u64, Vec<Figures>>,
}

/// Medians of what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Figures {
    pub(super) gb_per_s: Option<f64>,
    pub(super) latency_us: Option<f64>,
}

/// Phases in the order in which they are run, others after them by name.
const PHASES: [&str; 3] = ["dispatch", "combine", "alltoall"];

fn phase_order(name: &str) -> (usize, &str) {
    (PHASES.iter().position(|&known| known == name).unwrap_or(PHASES.len()), name)
}

/// What makes a chart of its own: experts, how many of them a token takes, values of a token, cluster.
type Place = (Option<u64>, Option<u64>, Option<u64>, Shape);
/// Rates and times of one bar.
type Measured = (Vec<f64>, Vec<f64>);
/// By phase, tokens and series.
type Bars = BTreeMap<(String, u64, Order), Measured>;

/// A chart per configuration and shape of cluster.
pub(super) fn moe(runs: &[Run]) -> Vec<Moe> {
    let mut places: BTreeMap<Place, Bars> = BTreeMap::new();
    for run in runs {
        for row in &run.rows {
            let key = Key::of(run, row);
            let (Some(phase), Some(tokens)) = (key.moe.phase.clone(), key.moe.tokens) else { continue };
            let place = (key.moe.experts, key.moe.topk, key.moe.dim, key.shape.clone());
            let bars = places.entry(place).or_default();
            let measured = bars.entry((phase, tokens, Order::of(&key))).or_default();
            measured.0.extend(row.bw_gb_per_s);
            measured.1.extend(row.latency_us);
        }
    }
    places.into_iter().map(|(place, bars)| Moe::of(&place, &bars)).collect()
}

impl Moe {
    fn of((experts, topk, dim, shape): &Place, bars: &Bars) -> Self {
        let series: BTreeSet<&Order> = bars.keys().map(|(_, _, order)| order).collect();
        let names: BTreeSet<&str> = bars.keys().map(|(phase, _, _)| phase.as_str()).collect();
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_by_key(|name| phase_order(name));
        let phase = |name: &&str| {
            let tokens: BTreeSet<u64> =
                bars.keys().filter(|(phase, _, _)| phase == name).map(|(_, tokens, _)| *tokens).collect();
            let figures = |tokens: u64| {
                let of = |order: &&Order| {
                    let measured = bars.get(&((*name).to_owned(), tokens, (*order).clone()));
                    let middle = |values: &Vec<f64>| (!values.is_empty()).then(|| median(values));
                    measured.map_or_else(Figures::default, |(rates, times)| Figures {
                        gb_per_s: middle(rates),
                        latency_us: middle(times),
                    })
                };
                series.iter().map(of).collect()
            };
            Phase {
                name: (*name).to_owned(),
                tokens: tokens.iter().map(|&count| (count, figures(count))).collect(),
            }
        };
        let number = |value: &Option<u64>| value.map_or_else(|| MISSING.to_owned(), |v| v.to_string());
        Self {
            title: format!(
                "MoE with {} experts, {} per token, dim {}: {}",
                number(experts),
                number(topk),
                number(dim),
                shape.words()
            ),
            series: series
                .iter()
                .map(|order| order.name.clone())
                .zip(looks(series.iter().copied()))
                .collect(),
            phases: names.iter().map(phase).collect(),
        }
    }

    /// The figures of a phase: bandwidth and time of each series, a line for each number of tokens.
    pub(super) fn table(&self, phase: &Phase) -> Table {
        let head = self.series.iter().flat_map(|(name, _)| [format!("{name}, GB/s"), format!("{name}, us")]);
        let cell = |value: Option<f64>| value.map_or_else(|| MISSING.to_owned(), figure);
        let row = |(tokens, figures): (&u64, &Vec<Figures>)| {
            let cells = figures.iter().flat_map(|f| [cell(f.gb_per_s), cell(f.latency_us)]);
            std::iter::once(tokens.to_string()).chain(cells).collect()
        };
        Table {
            title: format!("{}: {}", self.title, phase.name),
            head: std::iter::once("tokens".to_owned()).chain(head).collect(),
            rows: phase.tokens.iter().map(row).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::made::{self, moe_row, report};

    #[test]
    fn phases_keep_their_order_and_policies_their_looks() {
        let of = moe(&report(&[
            made::header(2, 4, 4),
            moe_row("combine", "pair-seq", "off", 128, 2.0, 7340.0),
            moe_row("dispatch", "pair-seq", "off", 128, 1.0, 7569.0),
            moe_row("dispatch", "pair-seq", "off", 128, 3.0, 2523.0),
            moe_row("dispatch", "pair-seq", "auto", 128, 4.0, 1892.0),
            moe_row("dispatch", "round-robin", "off", 1, 0.5, 118.0),
        ])
        .runs);
        assert_eq!(of.len(), 1);
        assert!(of[0].title.starts_with("MoE with 256 experts, 8 per token, dim 7168: 2 nodes, 4 PEs"));
        let series: Vec<_> = of[0].series.iter().map(|(name, look)| (name.as_str(), *look)).collect();
        assert_eq!(series, [("round-robin", 1), ("pair-seq", 3), ("pair-seq, batched", 7)]);
        let names: Vec<_> = of[0].phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["dispatch", "combine"]);
        let table = of[0].table(&of[0].phases[0]);
        assert_eq!(table.rows[0], ["1", "0.5000", "118", "-", "-", "-", "-"]);
        assert_eq!(table.rows[1], ["128", "-", "-", "2.00", "5046", "4.00", "1892"]);
    }

    #[test]
    fn its_rows_are_in_no_chart_by_size() {
        let lines = [made::header(2, 4, 4), moe_row("dispatch", "single", "off", 1, 1.0, 5.0)];
        assert_eq!(crate::report::tables::charts(&report(&lines).runs), []);
    }
}
