//! Balance of groups over short windows, by the rule that the benchmark uses ([`crate::windows`]).

use std::collections::{HashMap, VecDeque};

use super::view::GroupView;
use crate::monitor::sample::Windows;
use crate::windows::{Curve, p99, window_ratios};

/// Over how many windows balance is judged: 5 s of 10 ms each.
const KEPT: usize = 500;

/// The last windows of each group, by key.
#[derive(Debug, Default)]
pub(super) struct WindowHistory {
    groups: HashMap<String, Group>,
}

#[derive(Debug, Default)]
struct Group {
    window_ns: u64,
    end_ns: u64,
    /// Bytes of every NIC in each window; `None` where one of them is not known.
    windows: VecDeque<Option<Vec<u64>>>,
}

impl WindowHistory {
    /// Takes the windows of a tick in, and gives the groups their balance over the last seconds.
    pub(super) fn update(&mut self, groups: &mut [GroupView]) {
        for group in groups.iter_mut() {
            let windows: Option<Vec<&Windows>> =
                group.nics.iter().map(|nic| nic.rx_windows.as_ref()).collect();
            match windows.filter(|windows| !windows.is_empty()) {
                Some(windows) => {
                    let history = self.groups.entry(group.key.clone()).or_default();
                    history.add(&windows);
                    group.rx.window_max_over_mean = p99(&history.ratios());
                }
                None => drop(self.groups.remove(&group.key)),
            }
        }
        self.groups.retain(|key, _| groups.iter().any(|group| group.key == *key));
    }
}

impl Group {
    fn add(&mut self, nics: &[&Windows]) {
        let Some(first) = nics.first() else { return };
        let same = |w: &&Windows| {
            (w.window_ns, w.end_mono_ns, w.bytes.len())
                == (first.window_ns, first.end_mono_ns, first.bytes.len())
        };
        let nics_before = self.windows.iter().flatten().next().map_or(nics.len(), Vec::len);
        if !nics.iter().all(same) || self.window_ns != first.window_ns || nics_before != nics.len() {
            *self = Self { window_ns: first.window_ns, ..Self::default() };
        }
        let new = (first.bytes.len() as u64).saturating_mul(first.window_ns);
        if self.end_ns.saturating_add(new) != first.end_mono_ns {
            // Some were lost in between.
            self.windows.push_back(None);
        }
        self.end_ns = first.end_mono_ns;
        for i in 0..first.bytes.len() {
            self.windows.push_back(nics.iter().map(|w| w.bytes.get(i).copied().flatten()).collect());
        }
        let surplus = self.windows.len().saturating_sub(KEPT);
        self.windows.drain(..surplus);
    }

    /// Busiest NIC over mean of each window with traffic. A row of known windows is judged by itself.
    fn ratios(&self) -> Vec<f64> {
        let windows: Vec<Option<&Vec<u64>>> = self.windows.iter().map(Option::as_ref).collect();
        windows
            .split(Option::is_none)
            .flat_map(|run| {
                let run: Vec<&Vec<u64>> = run.iter().copied().flatten().collect();
                self.ratios_of(&run)
            })
            .collect()
    }

    fn ratios_of(&self, run: &[&Vec<u64>]) -> Vec<f64> {
        let nics = run.first().map_or(0, |bytes| bytes.len());
        let end_of = |windows: usize| (windows as u64).saturating_mul(self.window_ns);
        let curve = |nic: usize| {
            let mut curve = Curve::default();
            let mut sum = 0_u64;
            curve.push(0, sum);
            for (i, bytes) in run.iter().enumerate() {
                sum = sum.saturating_add(bytes.get(nic).copied().unwrap_or(0));
                curve.push(end_of(i + 1), sum);
            }
            curve
        };
        let curves: Vec<Curve> = (0..nics).map(curve).collect();
        window_ratios(&curves, 0, end_of(run.len()), self.window_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::tui::synthetic::{Cluster, Shape};

    const W: u64 = 10_000_000;

    /// A group of four NICs.
    fn group() -> GroupView {
        let view = Cluster::default().view(Shape::PairSeq, 1);
        let group = view.groups.into_iter().find(|g| g.nics.len() >= 4).unwrap();
        let nics = group.nics[..4].to_vec();
        GroupView { nics, ..group }
    }

    /// What the model says after some ticks of 100 windows each, in which `bytes` says what each NIC receives.
    fn ratio(ticks: u64, bytes: impl Fn(u64, usize) -> Option<u64>) -> Option<f64> {
        let mut history = WindowHistory::default();
        let mut groups = [group()];
        for tick in 0..ticks {
            for (i, nic) in groups[0].nics.iter_mut().enumerate() {
                let bytes = (0..100).map(|w| bytes(tick * 100 + w, i)).collect();
                nic.rx_windows = Some(Windows { window_ns: W, end_mono_ns: (tick + 1) * 100 * W, bytes });
            }
            groups[0].rx.window_max_over_mean = None;
            history.update(&mut groups);
        }
        assert!(history.groups.values().all(|group| group.windows.len() <= KEPT));
        groups[0].rx.window_max_over_mean
    }

    #[test]
    fn turns_are_seen_that_totals_hide() {
        // All senders meet on one NIC for 40 ms, then on the next: the totals are even.
        let turns =
            ratio(8, |window, nic| Some(if window / 4 % 4 == nic as u64 { 1000 } else { 0 })).unwrap();
        assert!(turns > 2.5, "{turns}");
        let even = ratio(8, |_, _| Some(1000)).unwrap();
        assert!((even - 1.0).abs() < 1e-9, "{even}");
    }

    #[test]
    fn what_is_not_known_says_nothing() {
        assert_eq!(ratio(3, |_, _| None), None);
        assert_eq!(ratio(3, |_, nic| (nic > 0).then_some(1000)), None, "one NIC of four is not known");
        assert_eq!(ratio(3, |_, _| Some(0)), None, "idle");
        let gaps = ratio(3, |window, _| (window % 7 > 0).then_some(1000)).unwrap();
        assert!((gaps - 1.0).abs() < 1e-9, "{gaps}");
    }

    #[test]
    fn the_past_is_forgotten() {
        let skewed_then_even = |window, nic: usize| Some(if window >= 300 || nic == 0 { 1000 } else { 0 });
        assert!(ratio(4, skewed_then_even).unwrap() > 3.9);
        assert!(ratio(9, skewed_then_even).unwrap() < 1.1);
    }
}
