//! The time course of a recording: what each NIC of a group sent and received, and under which policy.

use std::collections::BTreeMap;
use std::path::Path;

use super::tables::Table;
use crate::balance::{Direction, max_over_mean};
use crate::monitor::model::view::{GroupView, View};
use crate::monitor::record::{ReadError, Recording};
use crate::monitor::replay::{Filter, Replayer};
use crate::text::printable;
use crate::units::format_byte_rate;

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
    /// What was sent.
    pub(super) tx: Flow,
    /// What was received.
    pub(super) rx: Flow,
    /// Where another policy begins: position of the point, and its name.
    pub(super) policies: Vec<(usize, String)>,
}

/// One direction of a course.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Flow {
    /// Bytes per second, per NIC and point; `None` where it is not known.
    pub(super) rates: Vec<Vec<Option<f64>>>,
    /// The highest max/mean under one policy; 0 when nothing moved.
    pub(super) max_over_mean: f64,
}

impl Flow {
    fn moves(&self) -> bool {
        self.rates.iter().flatten().flatten().any(|&rate| rate > 0.0)
    }
}

/// What is put together for a point.
#[derive(Debug, Default, Clone)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// A group while the recording is read.
#[derive(Debug, Default)]
struct Gathered {
    tx: Vec<Vec<Mean>>,
    rx: Vec<Vec<Mean>>,
    policies: Vec<(usize, String)>,
}

/// What makes it the same group: its name, its NICs, and which of several of that name at one time it is. A PE's next job
/// goes on where the one before ended.
type Key = (String, Vec<String>, usize);

impl Gathered {
    fn add(&mut self, group: &GroupView, point: usize) {
        put(&mut self.tx, point, group.nics.iter().map(|nic| nic.tx.bytes_per_s));
        put(&mut self.rx, point, group.nics.iter().map(|nic| nic.rx.bytes_per_s));
        let Some(policy) = &group.policy else { return };
        if self.policy() != Some(policy) {
            self.policies.push((point, printable(policy)));
        }
    }

    fn policy(&self) -> Option<&str> {
        self.policies.last().map(|(_, policy)| policy.as_str())
    }

    fn finish(self, file: &str, (group, nics, _): Key, seconds: &[f64]) -> Course {
        let flow = |nics: &[Vec<Mean>]| {
            let rates = nics.iter().map(|points| {
                let mut rates: Vec<Option<f64>> = points.iter().map(Mean::value).collect();
                rates.resize(seconds.len(), None);
                rates
            });
            Flow { rates: rates.collect(), max_over_mean: 0.0 }
        };
        let mut course = Course {
            file: file.to_owned(),
            group,
            nics,
            seconds: seconds.to_vec(),
            tx: flow(&self.tx),
            rx: flow(&self.rx),
            policies: self.policies,
        };
        course.tx.max_over_mean = course.worst(Direction::Tx);
        course.rx.max_over_mean = course.worst(Direction::Rx);
        course
    }
}

/// Adds a tick's rates to a point, NIC by NIC.
fn put(nics: &mut Vec<Vec<Mean>>, point: usize, rates: impl ExactSizeIterator<Item = Option<f64>>) {
    nics.resize(rates.len(), Vec::new());
    for (rate, points) in rates.zip(nics) {
        points.resize(points.len().max(point + 1), Mean::default());
        if let (Some(rate), Some(point)) = (rate, points.get_mut(point)) {
            point.add(rate);
        }
    }
}

/// One policy's time of a course.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    policy: String,
    /// From the beginning of the recording.
    from: f64,
    until: f64,
    /// Mean of each NIC over the points at which its rate is known.
    bytes_per_s: Vec<f64>,
}

/// Whether a tick belongs to the point of the one before it.
#[derive(Debug, Default)]
struct Points {
    stride: usize,
    times: Vec<Mean>,
    ticks: usize,
    session: usize,
}

impl Points {
    /// The point of a tick at `seconds`. A gap gets an empty point of its own.
    fn of(&mut self, seconds: f64, session: usize, gap: bool, another: bool) -> usize {
        let first = self.times.is_empty();
        let broken = !first && (gap || session != self.session);
        if broken {
            self.times.push(Mean { sum: seconds, count: 1 });
        }
        if first || broken || another || self.ticks == self.stride {
            self.times.push(Mean::default());
            self.ticks = 0;
        }
        self.session = session;
        self.ticks += 1;
        let point = self.times.len() - 1;
        self.times[point].add(seconds);
        point
    }
}

impl Course {
    /// The groups of a recording, each with more than one NIC and something sent or received.
    pub(super) fn read(path: &Path, file: &str) -> Result<Vec<Self>, ReadError> {
        let recording = Recording::open(path)?;
        let stride = recording.len().div_ceil(POINTS).max(1);
        let began = recording.realtime_ns(0);
        let mut replayer = Replayer::new(recording, Filter::default());
        let mut groups: BTreeMap<Key, Gathered> = BTreeMap::new();
        let mut points = Points { stride, ..Points::default() };
        while let Some(next) = replayer.advance() {
            let next = next?;
            let view: View = next.derived.view;
            let mut there: BTreeMap<(String, Vec<String>), usize> = BTreeMap::new();
            // One that is dead, or stands still, is in the way of the next one of its name.
            let living = view.groups.iter().filter(|group| group.marks.is_empty() && group.nics.len() > 1);
            let keyed: Vec<(Key, &GroupView)> = living
                .map(|group| {
                    let name = printable(&group.name());
                    let nics: Vec<String> = group.nics.iter().map(|nic| printable(&nic.device)).collect();
                    let seen = there.entry((name.clone(), nics.clone())).or_default();
                    *seen += 1;
                    ((name, nics, *seen), group)
                })
                .collect();
            // What two policies did is no mean of anything.
            let another = keyed.iter().any(|(key, group)| {
                let before = groups.get(key).and_then(Gathered::policy);
                before.is_some() && before != group.policy.as_deref()
            });
            let seconds = (view.realtime_ns - began) as f64 / 1e9;
            let point = points.of(seconds, next.session, next.missed > 0, another);
            for (key, group) in keyed {
                groups.entry(key).or_default().add(group, point);
            }
        }
        let seconds: Vec<f64> = points.times.iter().filter_map(Mean::value).collect();
        let mut courses: Vec<Self> =
            groups.into_iter().map(|(key, group)| group.finish(file, key, &seconds)).collect();
        courses.retain(|course| [&course.tx, &course.rx].into_iter().any(Flow::moves));
        Ok(courses)
    }

    /// One direction of it.
    pub(super) fn flow(&self, way: Direction) -> &Flow {
        match way {
            Direction::Tx => &self.tx,
            Direction::Rx => &self.rx,
        }
    }

    /// The worse of its two directions.
    pub(super) fn max_over_mean(&self) -> f64 {
        self.tx.max_over_mean.max(self.rx.max_over_mean)
    }

    /// Totals can be even while each policy's time is not, and that is what one looks at.
    fn worst(&self, way: Direction) -> f64 {
        let parts = self.parts(way);
        parts.iter().filter_map(|part| max_over_mean(&part.bytes_per_s)).fold(0.0, f64::max)
    }

    /// Its policies' times, those in which something moved that way.
    fn parts(&self, way: Direction) -> Vec<Part> {
        let rates = &self.flow(way).rates;
        let unnamed = [(0, "-".to_owned())];
        let policies = if self.policies.is_empty() { &unnamed[..] } else { &self.policies };
        let ends = policies.iter().skip(1).map(|(from, _)| *from).chain([self.seconds.len()]);
        let part = |((from, policy), until): (&(usize, String), usize)| {
            let mean = |points: &Vec<Option<f64>>| {
                let known: Vec<f64> = points[*from..until].iter().flatten().copied().collect();
                known.iter().sum::<f64>() / known.len().max(1) as f64
            };
            let known = |point: &usize| rates.iter().any(|points| points[*point].is_some());
            let last = (*from..until).rev().find(known).unwrap_or(*from);
            Part {
                policy: policy.clone(),
                from: self.seconds[*from],
                until: self.seconds[last],
                bytes_per_s: rates.iter().map(mean).collect(),
            }
        };
        let mut parts: Vec<Part> = policies.iter().zip(ends).map(part).collect();
        parts.retain(|part| part.bytes_per_s.iter().any(|&rate| rate > 0.0));
        parts
    }

    /// One direction as figures: a line for each policy's time.
    pub(super) fn table(&self, way: Direction) -> Table {
        let head = ["policy", "from, s", "until, s"].into_iter().map(str::to_owned);
        let row = |part: &Part| {
            let ratio =
                max_over_mean(&part.bytes_per_s).map_or_else(|| "-".to_owned(), |r| format!("{r:.2}"));
            let times = [part.policy.clone(), format!("{:.1}", part.from), format!("{:.1}", part.until)];
            times
                .into_iter()
                .chain(part.bytes_per_s.iter().map(|&rate| format_byte_rate(rate)))
                .chain([ratio])
                .collect()
        };
        Table {
            title: format!("{}: {}: mean rate that each NIC {}", self.file, self.group, way.verb()),
            head: head.chain(self.nics.iter().cloned()).chain(["max/mean".to_owned()]).collect(),
            rows: self.parts(way).iter().map(row).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::record::{About, Recorder};
    use crate::monitor::sample::{PageState, Reading, Sample, Traffic, made};
    use crate::monitor::{Config, Thresholds};
    use crate::report::Report;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    /// A tick of a PE with two NICs that have received so much, and have sent as much in equal shares.
    fn sample(tick: u64, policy: &str, received: [u64; 2]) -> Sample {
        let now = (100 + tick) * SECOND;
        let nic = |index: usize| {
            let traffic = Traffic {
                tx_bytes: Some(received.iter().sum::<u64>() / 2),
                rx_bytes: Some(received[index]),
                tx_ops: Some(0),
                rx_ops: Some(0),
            };
            made::nic(index, Reading { mono_ns: now, traffic, ..Reading::default() })
        };
        let mut page = made::page(PageState::Alive, vec![nic(0), nic(1)]);
        (page.policy, page.rx_source) = (Some(policy.to_owned()), Some("LEDGER".to_owned()));
        Sample { realtime_ns: i128::from(now), mono_ns: now, pages: vec![page], ..Sample::default() }
    }

    fn record(path: &Path, samples: impl IntoIterator<Item = (Sample, u64)>) {
        let config = Config {
            sysfs_root: "/nowhere".into(),
            page_dir: None,
            host: "node0".to_owned(),
            device: None,
            source: None,
            interval: Duration::from_secs(1),
            line_rates: Vec::new(),
            thresholds: Thresholds::default(),
        };
        let mut recorder = Recorder::open(path, &About::of(&config)).unwrap();
        for (sample, missed) in samples {
            recorder.add(sample, Duration::from_secs(1), missed).unwrap();
        }
    }

    /// Ten seconds of everything on one NIC, then ten of both alike.
    fn story() -> Vec<(Sample, u64)> {
        let tick = |tick: u64| {
            let (policy, received) = match tick {
                0..=10 => ("round-robin", [tick * 4_000_000, 0]),
                _ => ("pair-seq", [40_000_000 + (tick - 10) * 2_000_000, (tick - 10) * 2_000_000]),
            };
            (sample(tick, policy, received), 0)
        };
        (0..=20).map(tick).collect()
    }

    #[test]
    fn policies_have_their_times_and_the_worst_of_them_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rec");
        record(&path, story());
        let courses = Course::read(&path, "a.rec").unwrap();
        assert_eq!(courses.len(), 1);
        let course = &courses[0];
        assert_eq!((course.group.as_str(), course.nics.len()), ("node0 PE 3", 2));
        assert!((course.rx.max_over_mean - 2.0).abs() < 1e-9, "{:?}", course.rx);
        let policies: Vec<_> =
            course.policies.iter().map(|(point, policy)| (*point, policy.as_str())).collect();
        assert_eq!(policies, [(0, "round-robin"), (11, "pair-seq")]);
        assert!((course.tx.max_over_mean - 1.0).abs() < 1e-9, "{:?}", course.tx);
        assert_eq!(course.table(Direction::Tx).rows[0][3..], ["2.00 MB/s", "2.00 MB/s", "1.00"]);
        let table = course.table(Direction::Rx);
        assert_eq!(table.head.len(), 6);
        let rows: Vec<_> =
            table.rows.iter().map(|row| row.iter().map(String::as_str).collect::<Vec<_>>()).collect();
        assert_eq!(
            rows,
            [
                ["round-robin", "0.0", "10.0", "4.00 MB/s", "0 B/s", "2.00"],
                ["pair-seq", "11.0", "20.0", "2.00 MB/s", "2.00 MB/s", "1.00"]
            ]
        );
    }

    #[test]
    fn a_recording_in_which_nothing_moved_is_named() {
        let dir = tempfile::tempdir().unwrap();
        record(&dir.path().join("still.rec"), (0..4).map(|tick| (sample(tick, "single", [7, 7]), 0)));
        let error = Report::load(dir.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("\n  still.rec: no group of several NICs is known to have moved anything in it"),
            "{error}"
        );
    }

    #[test]
    fn a_gap_and_another_part_of_the_recording_break_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rec");
        record(&path, story());
        // Appended an hour later, and once with ticks that were left out.
        let later = |tick: u64, missed| (sample(3600 + tick, "pair-seq", [tick * 1_000_000; 2]), missed);
        record(&path, [later(0, 0), later(1, 0), later(4, 2), later(5, 0)]);
        let course = &Course::read(&path, "a.rec").unwrap()[0];
        let known: String =
            course.rx.rates[0].iter().map(|rate| if rate.is_some() { '#' } else { '.' }).collect();
        // Before each first look of a part there is no rate, and before and after a gap there is none.
        assert!(known.trim_matches('.').contains('.'), "{known}");
        assert_eq!(course.seconds.len(), course.rx.rates[0].len());
        assert!(course.seconds.is_sorted(), "{:?}", course.seconds);
    }

    #[test]
    fn jobs_with_other_nics_are_no_continuation_and_a_dead_pe_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rec");
        let mut samples = story();
        for (sample, _) in samples.iter_mut().skip(11) {
            let mut next = sample.pages[0].clone();
            (next.key, next.job) = ("job2/node0/3".to_owned(), "job2".to_owned());
            for nic in &mut next.nics {
                nic.device = format!("other{}", nic.index);
            }
            sample.pages[0].state = PageState::Dead;
            sample.pages.push(next);
        }
        record(&path, samples);
        let courses = Course::read(&path, "a.rec").unwrap();
        let names: Vec<_> = courses.iter().map(|course| course.nics.join(" ")).collect();
        assert_eq!(names, ["nic0 nic1", "other0 other1"]);
    }
}
