//! The last few minutes of every NIC, group and node, bounded in memory.

use std::collections::{HashMap, VecDeque};

use super::rows::{RowKey, node_key};
use crate::monitor::model::view::View;

/// Ticks kept: 4 min at 2 Hz, 8.5 min at 1 Hz; more than the widest graph shows.
pub(super) const CAPACITY: usize = 512;

/// Bytes per second at one tick; `None` is a gap, not zero.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Point {
    pub(super) tx: Option<f32>,
    pub(super) rx: Option<f32>,
}

impl Point {
    #[expect(clippy::cast_possible_truncation, reason = "a graph needs less than the 24 bits of an f32")]
    fn new(tx: Option<f64>, rx: Option<f64>) -> Self {
        Self { tx: tx.map(|v| v as f32), rx: rx.map(|v| v as f32) }
    }

    fn add(&mut self, other: Self) {
        let sum = |a: Option<f32>, b: Option<f32>| match (a, b) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        *self = Self { tx: sum(self.tx, other.tx), rx: sum(self.rx, other.rx) };
    }
}

/// One row's points, the newest last, and for how many ticks it has been gone.
#[derive(Debug, Default)]
struct Series {
    points: VecDeque<Point>,
    gone: usize,
}

/// All series, over a common time line.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Monotonic time of each tick.
    times: VecDeque<u64>,
    series: HashMap<RowKey, Series>,
}

impl History {
    /// Adds a tick. A row that is missing gets a gap, and is forgotten once it is all gap.
    pub(super) fn push(&mut self, view: &View) {
        let mut now: HashMap<RowKey, Point> = HashMap::new();
        for group in &view.groups {
            let point = Point::new(group.tx.bytes_per_s, group.rx.bytes_per_s);
            now.entry(node_key(group)).or_default().add(point);
            now.insert(RowKey::Group(group.key.clone()), point);
            for nic in &group.nics {
                now.insert(
                    RowKey::Nic(group.key.clone(), nic.key.clone()),
                    Point::new(nic.tx.bytes_per_s, nic.rx.bytes_per_s),
                );
            }
        }
        let before = self.times.len();
        self.times.push_back(view.mono_ns);
        for (key, series) in &mut self.series {
            let point = now.remove(key);
            series.gone = if point.is_some() { 0 } else { series.gone + 1 };
            series.points.push_back(point.unwrap_or_default());
        }
        for (key, point) in now {
            let mut points = VecDeque::from(vec![Point::default(); before]);
            points.push_back(point);
            self.series.insert(key, Series { points, gone: 0 });
        }
        if self.times.len() > CAPACITY {
            self.times.pop_front();
            for series in self.series.values_mut() {
                series.points.pop_front();
            }
        }
        self.series.retain(|_, series| series.gone < CAPACITY);
    }

    /// The points of a row up to `mono_ns` (what a paused screen shows), oldest first, with their span in ns.
    pub(super) fn until(&self, key: &RowKey, mono_ns: u64) -> (Vec<Point>, Vec<u64>) {
        let end = self.times.partition_point(|&t| t <= mono_ns);
        let times = self.times.iter().take(end).copied().collect();
        let points =
            self.series.get(key).map(|s| s.points.iter().take(end).copied().collect()).unwrap_or_default();
        (points, times)
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Cluster, Shape};
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_gone_are_forgotten() {
        let cluster = Cluster::default();
        let mut history = History::default();
        for tick in 0..(CAPACITY as u64 + 10) {
            history.push(&cluster.view(Shape::PairSeq, tick));
        }
        assert_eq!(history.times.len(), CAPACITY);
        assert!(history.series.values().all(|s| s.points.len() == CAPACITY));
        let empty = View { groups: Vec::new(), ..cluster.view(Shape::PairSeq, 0) };
        for _ in 0..CAPACITY {
            history.push(&empty);
        }
        assert!(history.series.is_empty());
    }

    #[test]
    fn a_row_that_comes_late_has_a_gap_before() {
        let cluster = Cluster::default();
        let mut history = History::default();
        let full = cluster.view(Shape::PairSeq, 1);
        let key = RowKey::Group(full.groups[0].key.clone());
        history.push(&View { groups: Vec::new(), ..cluster.view(Shape::PairSeq, 0) });
        history.push(&full);
        let (points, _) = history.until(&key, u64::MAX);
        assert_eq!(points[0], Point::default());
        assert!(points[1].tx.is_some());
    }
}
