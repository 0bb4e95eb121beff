//! The time course of a recording: what each NIC of a group moved, and under which policy.

use std::collections::BTreeMap;
use std::path::Path;

use crate::monitor::model::view::{GroupView, View};
use crate::monitor::record::{ReadError, Recording};
use crate::monitor::replay::{Filter, Replayer};
use crate::text::printable;

/// Points of a line: more cannot be told apart on a page.
const POINTS: usize = 600;

/// One group's NICs over time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Course {
    /// The file, below the directory of the report.
    pub(super) file: String,
    /// The group: `node0 PE 3`.
    pub(super) group: String,
    /// Names of the NICs.
    pub(super) nics: Vec<String>,
    /// Seconds since the recording began, the middle of what a point averages.
    pub(super) seconds: Vec<f64>,
    /// Bytes per second received, per NIC and point; `None` where it is not known.
    pub(super) rx: Vec<Vec<Option<f64>>>,
    /// Where another policy begins: position of the point, and its name.
    pub(super) policies: Vec<(usize, String)>,
    /// The highest max/mean of received bytes over the whole time.
    pub(super) max_over_mean: f64,
}

/// What is put together for a point.
#[derive(Debug, Default, Clone)]
struct Mean {
    sum: f64,
    count: u32,
}

/// A group while the recording is read.
#[derive(Debug, Default)]
struct Gathered {
    name: String,
    nics: Vec<String>,
    rx: Vec<Vec<Mean>>,
    policies: Vec<(usize, String)>,
}

impl Gathered {
    fn add(&mut self, group: &GroupView, point: usize) {
        if self.nics.len() != group.nics.len() {
            // Of a job with other NICs nothing is put on top of these.
            if !self.nics.is_empty() {
                return;
            }
            self.name = printable(&group.name());
            self.nics = group.nics.iter().map(|nic| printable(&nic.device)).collect();
            self.rx = vec![Vec::new(); self.nics.len()];
        }
        for (nic, points) in group.nics.iter().zip(&mut self.rx) {
            points.resize(points.len().max(point + 1), Mean::default());
            if let Some(rate) = nic.rx.bytes_per_s {
                points[point].sum += rate;
                points[point].count += 1;
            }
        }
        let Some(policy) = &group.policy else { return };
        if self.policies.last().is_none_or(|(_, last)| last != policy) {
            self.policies.push((point, printable(policy)));
        }
    }

    fn finish(self, file: &str, seconds: &[f64]) -> Course {
        let value = |mean: &Mean| (mean.count > 0).then(|| mean.sum / f64::from(mean.count));
        let mut rx: Vec<Vec<Option<f64>>> =
            self.rx.iter().map(|points| points.iter().map(value).collect()).collect();
        for points in &mut rx {
            points.resize(seconds.len(), None);
        }
        let total = |points: &Vec<Option<f64>>| points.iter().flatten().sum::<f64>();
        let totals: Vec<f64> = rx.iter().map(total).collect();
        // Totals can be even while each moment is not; a policy's time is what one looks at, so the worst of those.
        let mut worst = crate::balance::max_over_mean(&totals).unwrap_or(0.0);
        for (index, (from, _)) in self.policies.iter().enumerate() {
            let until = self.policies.get(index + 1).map_or(seconds.len(), |(next, _)| *next);
            let part = |points: &Vec<Option<f64>>| points[*from..until].iter().flatten().sum::<f64>();
            let parts: Vec<f64> = rx.iter().map(part).collect();
            worst = worst.max(crate::balance::max_over_mean(&parts).unwrap_or(0.0));
        }
        Course {
            file: file.to_owned(),
            group: self.name,
            nics: self.nics,
            seconds: seconds.to_vec(),
            rx,
            policies: self.policies,
            max_over_mean: worst,
        }
    }
}

impl Course {
    /// The groups of a recording, each with more than one NIC and something received, the most uneven first.
    pub(super) fn read(path: &Path, file: &str) -> Result<Vec<Self>, ReadError> {
        let recording = Recording::open(path)?;
        let ticks = recording.len();
        let stride = ticks.div_ceil(POINTS).max(1);
        let began = recording.realtime_ns(0);
        let mut replayer = Replayer::new(recording, Filter::default());
        // A PE's next job goes on where the one before ended: one course for all of them. Two at the same time have two.
        let mut groups: BTreeMap<(String, usize), Gathered> = BTreeMap::new();
        let mut times: Vec<Mean> = Vec::new();
        for tick in 0.. {
            let Some(next) = replayer.advance() else { break };
            let view: View = next?.derived.view;
            let point = tick / stride;
            times.resize(times.len().max(point + 1), Mean::default());
            times[point].sum += (view.realtime_ns - began) as f64 / 1e9;
            times[point].count += 1;
            let mut there: BTreeMap<String, usize> = BTreeMap::new();
            for group in view.groups.iter().filter(|group| group.nics.len() > 1) {
                let name = group.name();
                let which = there.entry(name.clone()).or_default();
                groups.entry((name, *which)).or_default().add(group, point);
                *which += 1;
            }
        }
        let seconds: Vec<f64> = times.iter().map(|mean| mean.sum / f64::from(mean.count.max(1))).collect();
        let mut courses: Vec<Self> = groups.into_values().map(|group| group.finish(file, &seconds)).collect();
        courses.retain(|course| course.rx.iter().flatten().flatten().any(|&rate| rate > 0.0));
        courses.sort_by(|a, b| b.max_over_mean.total_cmp(&a.max_over_mean));
        Ok(courses)
    }
}
