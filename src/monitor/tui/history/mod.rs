//! What was: rates of every NIC, group and node over the last half hour, and the last views in full; both bounded.
//!
//! A view is big (a few kB per NIC), so only the newest are kept whole, up to [`VIEW_BYTES`] together. Of older
//! moments there are the rates, from which [`rates`] makes a view that says no more than that.

mod peaks;
pub(super) mod rates;
mod totals;
mod weight;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use self::peaks::Peaks;
use self::totals::Totals;
use super::rows::{RowKey, node_key};
use crate::monitor::model::view::{Flow, View};

/// Ticks of which the rates are kept: half an hour at 1 Hz; more than the widest graph shows.
pub(super) const CAPACITY: usize = 1800;
/// Memory for views that are kept whole, as [`weight::of`] estimates it: a minute of 32 NICs at 1 Hz, or half of one with
/// short windows, which are half of each view.
pub(super) const VIEW_BYTES: usize = 3_000_000;

/// Rates at one tick; `None` is a gap, not zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    tx: f32,
    rx: f32,
    tx_ops: f32,
    rx_ops: f32,
}

impl Default for Point {
    fn default() -> Self {
        Self { tx: f32::NAN, rx: f32::NAN, tx_ops: f32::NAN, rx_ops: f32::NAN }
    }
}

/// A missing value is a NaN: a quarter of the room that four `Option`s take.
fn known(value: f32) -> Option<f32> {
    (!value.is_nan()).then_some(value)
}

impl Point {
    #[expect(clippy::cast_possible_truncation, reason = "a graph needs less than the 24 bits of an f32")]
    fn new(tx: &Flow, rx: &Flow) -> Self {
        let small = |value: Option<f64>| value.map_or(f32::NAN, |value| value as f32);
        Self {
            tx: small(tx.bytes_per_s),
            rx: small(rx.bytes_per_s),
            tx_ops: small(tx.ops_per_s),
            rx_ops: small(rx.ops_per_s),
        }
    }

    /// Bytes per second sent.
    pub(super) fn tx(&self) -> Option<f32> {
        known(self.tx)
    }

    /// Bytes per second received.
    pub(super) fn rx(&self) -> Option<f32> {
        known(self.rx)
    }

    /// Operations (or packets) per second, sent and received.
    pub(super) fn ops(&self) -> (Option<f32>, Option<f32>) {
        (known(self.tx_ops), known(self.rx_ops))
    }

    /// Both together, value by value; what is known of one alone counts as it is.
    fn merge(self, other: Self, with: impl Fn(f32, f32) -> f32) -> Self {
        let both = |a: f32, b: f32| match (a.is_nan(), b.is_nan()) {
            (true, _) => b,
            (_, true) => a,
            _ => with(a, b),
        };
        Self {
            tx: both(self.tx, other.tx),
            rx: both(self.rx, other.rx),
            tx_ops: both(self.tx_ops, other.tx_ops),
            rx_ops: both(self.rx_ops, other.rx_ops),
        }
    }
}

/// One row's points, the newest last, and for how many ticks it has been gone.
#[derive(Debug, Default)]
struct Series {
    points: VecDeque<Point>,
    gone: usize,
}

/// A view that is kept whole, and what it weighs: with its events if it is the first that has this list of them.
#[derive(Debug)]
struct Kept {
    view: Arc<View>,
    bytes: usize,
}

impl Kept {
    /// What its list of events weighs, if that is not the list of the view `before` it.
    fn events(&self, before: Option<&Kept>) -> usize {
        let same = before.is_some_and(|before| Arc::ptr_eq(&before.view.events, &self.view.events));
        if same { 0 } else { weight::events(&self.view.events) }
    }
}

/// All series over a common time line, the newest views, peaks and totals.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Monotonic time of each tick.
    times: VecDeque<u64>,
    /// Ticks so far, also those that are forgotten.
    ticks: usize,
    series: HashMap<RowKey, Series>,
    views: VecDeque<Kept>,
    /// Sum of the kept views' weights.
    bytes: usize,
    peaks: Peaks,
    totals: Totals,
}

impl History {
    /// Adds a tick. A row that is missing gets a gap, and is forgotten once it is all gap.
    pub(super) fn push(&mut self, view: &Arc<View>) {
        let mut now = points(view);
        self.peaks.push(&now);
        self.totals.push(view);
        let before = self.times.len();
        self.ticks += 1;
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
        self.keep(view);
    }

    /// Keeps the view, and drops the oldest until all fit.
    fn keep(&mut self, view: &Arc<View>) {
        let mut new = Kept { view: Arc::clone(view), bytes: weight::of(view) };
        new.bytes += new.events(self.views.back());
        self.bytes += new.bytes;
        self.views.push_back(new);
        while self.views.len() > 1 && (self.bytes > VIEW_BYTES || self.views.len() > CAPACITY) {
            let Some(oldest) = self.views.pop_front() else { break };
            self.bytes -= oldest.bytes;
            // The events that it shares are now those of the next.
            if let Some(next) = self.views.front_mut() {
                let inherited = weight::events(&next.view.events) - next.events(Some(&oldest));
                next.bytes += inherited;
                self.bytes += inherited;
            }
        }
    }

    /// The last `count` points of a row up to `mono_ns` (what a paused screen shows), oldest first, with their times.
    pub(super) fn until(&self, key: &RowKey, mono_ns: u64, count: usize) -> (Vec<Point>, Vec<u64>) {
        let end = self.end(mono_ns);
        let first = end.saturating_sub(count);
        let times = self.times.range(first..end).copied().collect();
        let points = self.series.get(key).map_or_else(Vec::new, |series| {
            let end = end.min(series.points.len());
            series.points.range(first.min(end)..end).copied().collect()
        });
        (points, times)
    }

    /// Ticks so far.
    pub(super) fn ticks(&self) -> usize {
        self.ticks
    }

    /// How many ticks there are up to `mono_ns`.
    fn end(&self, mono_ns: u64) -> usize {
        self.times.partition_point(|&time| time <= mono_ns)
    }

    /// The time `by` ticks after (before, if negative) the one at `mono_ns`, as far as there are any.
    pub(super) fn step(&self, mono_ns: u64, by: isize) -> Option<u64> {
        let here = self.end(mono_ns).saturating_sub(1);
        let last = self.times.len().checked_sub(1)?;
        self.times.get(here.saturating_add_signed(by).min(last)).copied()
    }

    /// The last tick up to `mono_ns`, or the first of all.
    pub(super) fn near(&self, mono_ns: u64) -> Option<u64> {
        self.step(mono_ns, 0)
    }

    /// The view of the tick at `mono_ns`: as it was, or made from its rates after the oldest that is kept.
    pub(super) fn view_at(&self, mono_ns: u64) -> Option<Arc<View>> {
        let kept = self.views.partition_point(|kept| kept.view.mono_ns <= mono_ns);
        if let Some(kept) = kept.checked_sub(1).and_then(|index| self.views.get(index)) {
            return Some(Arc::clone(&kept.view));
        }
        let oldest = &self.views.front()?.view;
        let at = self.end(mono_ns).checked_sub(1)?;
        let point = |key: &RowKey| self.series.get(key).and_then(|series| series.points.get(at)).copied();
        Some(Arc::new(rates::alone(oldest, *self.times.get(at)?, point)))
    }

    /// The mean of a row's rates over the `window` that ends at `mono_ns`, each weighted by the time it stands for.
    pub(super) fn average(&self, key: &RowKey, mono_ns: u64, window: Duration) -> Option<Point> {
        let points = &self.series.get(key)?.points;
        let end = self.end(mono_ns).min(points.len());
        let begin = mono_ns.saturating_sub(u64::try_from(window.as_nanos()).unwrap_or(u64::MAX));
        let [mut sum, mut time] = [[0.0_f64; 4]; 2];
        for i in (1..end).rev() {
            let (from, to) = (self.times[i - 1], self.times[i]);
            if to <= begin && i + 1 < end {
                break;
            }
            // A tick that reaches beyond the window counts with its part inside; the newest always counts.
            let part = to.saturating_sub(from.max(begin.min(to.saturating_sub(1)))) as f64;
            let point = points[i];
            for (k, value) in [point.tx, point.rx, point.tx_ops, point.rx_ops].into_iter().enumerate() {
                if !value.is_nan() {
                    sum[k] += f64::from(value) * part;
                    time[k] += part;
                }
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "a mean of f32 values")]
        let mean = |k: usize| if time[k] > 0.0 { (sum[k] / time[k]) as f32 } else { f32::NAN };
        Some(Point { tx: mean(0), rx: mean(1), tx_ops: mean(2), rx_ops: mean(3) })
    }

    /// The highest rates of a row since [`forget_peaks`](Self::forget_peaks).
    pub(super) fn peak(&self, key: &RowKey) -> Option<Point> {
        self.peaks.of(key)
    }

    /// Peaks begin anew.
    pub(super) fn forget_peaks(&mut self) {
        self.peaks = Peaks::default();
    }

    /// Bytes that a NIC has moved since it was first seen here, up to a view's moment.
    pub(super) fn since_start(
        &self,
        view: &View,
        group: &str,
        nic: &crate::monitor::model::view::NicView,
    ) -> [Option<u64>; 2] {
        self.totals.since_start(view.mono_ns, group, nic)
    }

    /// What is kept, for the test that it does not grow: ticks, points, views, and the views' bytes.
    #[cfg(test)]
    pub(super) fn size(&self) -> [usize; 4] {
        let points = self.series.values().map(|series| series.points.len()).sum();
        [self.times.len(), points, self.views.len(), self.bytes]
    }
}

/// The rates of every row of a view.
fn points(view: &View) -> HashMap<RowKey, Point> {
    let mut now: HashMap<RowKey, Point> = HashMap::new();
    for group in &view.groups {
        let flow = |bytes_per_s| Flow { bytes_per_s, ..Flow::default() };
        let point = Point::new(&flow(group.tx.bytes_per_s), &flow(group.rx.bytes_per_s));
        let node = now.entry(node_key(group)).or_default();
        *node = node.merge(point, |a, b| a + b);
        now.insert(RowKey::Group(group.key.clone()), point);
        for nic in &group.nics {
            now.insert(RowKey::Nic(group.key.clone(), nic.key.clone()), Point::new(&nic.tx, &nic.rx));
        }
    }
    now
}

#[cfg(test)]
mod tests;
