//! What is kept as a Chrome trace: the JSON of Chrome's `about:tracing`, which Perfetto and everybody else reads too.
//! Format: "Trace Event Format", Google, linked from <https://perfetto.dev/docs/faq>.
//!
//! A counter keeps its value until the next one, so a rate is written at the beginning of the time it was measured over,
//! and one that stays is written once. A counter cannot be absent: where a rate is not known it falls to 0 below a
//! slice that says why.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::abi::{Balance, CLOCK_MONOTONIC, CLOCK_REALTIME, Sample};
use crate::error::Error;
use crate::store::{MARKS, Store, bit};
use railtop::monitor::model::view::Mark;

/// The time stamps of a trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: bool,
    base_ns: i64,
}

impl Clock {
    pub(crate) fn new(clock: i32, base_ns: i64) -> Result<Self, Error> {
        match clock {
            CLOCK_MONOTONIC => Ok(Self { wall: false, base_ns }),
            CLOCK_REALTIME => Ok(Self { wall: true, base_ns }),
            other => {
                Err(Error::Argument(format!("clock: {other} is neither 1 (monotonic) nor 2 (realtime)")))
            }
        }
    }

    /// A moment in nanoseconds; not before 0, since not every reader takes negative time stamps.
    fn at(self, mono_ns: u64, wall_minus_mono_ns: i64) -> u64 {
        let offset = if self.wall { i128::from(wall_minus_mono_ns) } else { 0 };
        u64::try_from(i128::from(mono_ns) + offset - i128::from(self.base_ns)).unwrap_or(0)
    }
}

/// The whole trace.
pub(crate) fn trace(store: &Store, interval_ns: u64, notes: &[String], clock: Clock) -> String {
    let mut events = Events::new(store, clock);
    if let Some(first) = store.samples.iter().next().filter(|_| store.samples.lost() > 0) {
        let name = format!("{} older samples were lost: railtop's memory was full", store.samples.lost());
        let at = micros(clock.at(first.mono_ns, first.wall_minus_mono_ns));
        events.add(&format!("\"ph\":\"i\",\"s\":\"p\",\"name\":{},\"ts\":{at}", text(&name)));
    }
    for nic in 0..store.nics.len() {
        events.nic(nic);
    }
    for group in 0..store.groups.len() {
        events.group(group);
    }
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "host": store.host,
        "clock": if clock.wall { "realtime" } else { "monotonic" },
        "base_ns": clock.base_ns,
        "clocks": clocks(store),
        "interval_ns": interval_ns,
        "ticks": store.ticks,
        "missed_ticks": store.missed,
        "lost_samples": store.samples.lost(),
        "notes": notes,
    });
    format!("{{\"traceEvents\":[\n{}\n],\n\"displayTimeUnit\":\"ns\",\n\"railtop\":{about}}}\n", events.out)
}

/// Both clocks at the first and at the last sample, to go from one to the other.
fn clocks(store: &Store) -> Vec<Value> {
    let ends = [store.balances.iter().next(), store.balances.iter().last()];
    let pair = |b: &Balance| {
        let wall = i128::from(b.mono_ns) + i128::from(b.wall_minus_mono_ns);
        json!({ "monotonic_ns": b.mono_ns, "realtime_ns": i64::try_from(wall).unwrap_or(0) })
    };
    ends.into_iter().flatten().map(pair).collect()
}

/// The events so far, one a line.
struct Events<'a> {
    out: String,
    clock: Clock,
    store: &'a Store,
    pid: u32,
    /// Samples by NIC and balances by group, so that each is gone through once.
    by_nic: Vec<Vec<&'a Sample>>,
    by_group: Vec<Vec<&'a Balance>>,
    /// How many NICs have this label.
    labels: HashMap<String, usize>,
    /// When the last sample of all was, where what is open ends.
    latest: u64,
}

impl<'a> Events<'a> {
    fn new(store: &'a Store, clock: Clock) -> Self {
        let mut by_nic = vec![Vec::new(); store.nics.len()];
        for sample in store.samples.iter() {
            by_nic[sample.nic as usize].push(sample);
        }
        let mut by_group = vec![Vec::new(); store.groups.len()];
        for balance in store.balances.iter() {
            by_group[balance.group as usize].push(balance);
        }
        let mut labels = HashMap::new();
        for nic in &store.nics {
            *labels.entry(nic.label()).or_default() += 1;
        }
        let latest =
            store.samples.iter().map(|s| clock.at(s.mono_ns, s.wall_minus_mono_ns)).max().unwrap_or(0);
        let pid = process_of(&store.host);
        let mut events = Self { out: String::new(), clock, store, pid, by_nic, by_group, labels, latest };
        let name = text(&format!("NICs of {} (railtop)", store.host));
        events.add(&format!("\"ph\":\"M\",\"name\":\"process_name\",\"args\":{{\"name\":{name}}}"));
        events
    }

    fn add(&mut self, event: &str) {
        let separator = if self.out.is_empty() { "" } else { ",\n" };
        let _never_fails = write!(self.out, "{separator}{{\"pid\":{},{event}}}", self.pid);
    }

    fn counter(&mut self, name: &str, unit: &str, at: u64, value: f64) {
        let (name, at) = (text(name), micros(at));
        self.add(&format!("\"ph\":\"C\",\"name\":{name},\"ts\":{at},\"args\":{{\"{unit}\":{value}}}"));
    }

    /// One counter track, of moments and what holds from them on.
    fn track(&mut self, name: &str, unit: &str, points: &[(u64, f64)]) {
        let mut stands: Option<f64> = None;
        for (place, &(at, value)) in points.iter().enumerate() {
            // The last one is always there: it gives the value before it a length.
            if stands != Some(value) || place + 1 == points.len() {
                self.counter(name, unit, at, value);
                stands = Some(value);
            }
        }
    }

    /// Tx and Rx of a NIC, and slices where they are not known.
    fn nic(&mut self, number: usize) {
        let store = self.store;
        let name = &store.nics[number];
        let label = match self.labels.get(&name.label()) {
            Some(1) | None => name.label(),
            // The same device for several PEs.
            Some(_) => {
                let group = store
                    .groups
                    .get(name.group as usize)
                    .map(|group| group.name.to_string_lossy().into_owned());
                format!("{} {}", group.unwrap_or_default(), name.label())
            }
        };
        let course = course(&self.by_nic[number], self.clock, self.latest);
        self.track(&format!("{label} Tx"), "Gbit/s", &course.tx);
        self.track(&format!("{label} Rx"), "Gbit/s", &course.rx);
        let thread = number + 1;
        if !course.unknown.is_empty() {
            let label = text(&label);
            self.add(&format!(
                "\"tid\":{thread},\"ph\":\"M\",\"name\":\"thread_name\",\"args\":{{\"name\":{label}}}"
            ));
        }
        for (begin, end, flags) in course.unknown {
            let name = text(&format!("no rate: {}", why(flags)));
            let (at, length) = (micros(begin), micros(end.saturating_sub(begin)));
            self.add(&format!("\"tid\":{thread},\"ph\":\"X\",\"name\":{name},\"ts\":{at},\"dur\":{length}"));
        }
    }

    /// The balance of a group, where there is more than one NIC to share a load.
    fn group(&mut self, number: usize) {
        type Ratio = fn(&Balance) -> f64;
        let balances = std::mem::take(&mut self.by_group[number]);
        if balances.iter().all(|balance| balance.nics < 2) {
            return;
        }
        let name = self.store.groups[number].name.to_string_lossy().into_owned();
        let directions: [(&str, Ratio); 2] =
            [("Tx", |balance| balance.tx_max_over_mean), ("Rx", |balance| balance.rx_max_over_mean)];
        for (direction, ratio) in directions {
            let mut points = Vec::new();
            let mut before = None;
            for balance in &balances {
                let at = self.clock.at(balance.mono_ns, balance.wall_minus_mono_ns);
                let value = Some(ratio(balance)).filter(|ratio| ratio.is_finite()).unwrap_or(0.0);
                // It is of the time since the tick before.
                points.extend(before.map(|since| (since, value)));
                before = Some(at);
            }
            points.extend(before.zip(points.last().map(|&(_, value)| value)));
            self.track(&format!("{name} {direction} balance"), "max/mean", &points);
        }
    }
}

/// A NIC's rates over time.
#[derive(Debug, Default, PartialEq)]
struct Course {
    /// From when on, and Gbit/s.
    tx: Vec<(u64, f64)>,
    rx: Vec<(u64, f64)>,
    /// From when to when nothing is known, and the flags that say why.
    unknown: Vec<(u64, u64, u32)>,
}

fn course(samples: &[&Sample], clock: Clock, latest: u64) -> Course {
    let mut course = Course::default();
    // When it was last read with a rate, and since when it has none.
    let mut known_until = None;
    let mut silent: Option<(u64, u32)> = None;
    for sample in samples {
        let at = clock.at(sample.mono_ns, sample.wall_minus_mono_ns);
        if sample.dt_ns > 0 {
            let since = clock.at(sample.mono_ns.saturating_sub(sample.dt_ns), sample.wall_minus_mono_ns);
            course.unknown.extend(silent.take().map(|(begin, flags)| (begin, since, flags)));
            point(&mut course.tx, since, sample.tx_bytes_per_s);
            point(&mut course.rx, since, sample.rx_bytes_per_s);
            known_until = Some(at);
        } else if let (Some(until), None) = (known_until, silent) {
            point(&mut course.tx, until, f64::NAN);
            point(&mut course.rx, until, f64::NAN);
            silent = Some((until, sample.flags));
        }
    }
    match (known_until, silent) {
        (_, Some((begin, flags))) => course.unknown.push((begin, latest.max(begin), flags)),
        // The last rates hold until the last read.
        (Some(until), None) => {
            for points in [&mut course.tx, &mut course.rx] {
                points.extend(points.last().map(|&(_, value)| (until, value)));
            }
        }
        (None, None) => {}
    }
    course
}

/// Adds a rate. One that is not known ends what stands there, and begins no track.
fn point(points: &mut Vec<(u64, f64)>, at: u64, bytes_per_s: f64) {
    if bytes_per_s.is_finite() {
        points.push((at, bytes_per_s * 8.0 / 1e9));
    } else if !points.is_empty() {
        points.push((at, 0.0));
    }
}

/// Why a NIC has no rate.
fn why(flags: u32) -> String {
    let words: Vec<&str> =
        MARKS.into_iter().filter(|&mark| flags & bit(mark) != 0).map(Mark::words).collect();
    if words.is_empty() { "not known".to_owned() } else { words.join("; ") }
}

/// A process number for a host's NICs that no process of Linux has (those end at 2^22), and that another host's traces do
/// not have either when all are put together. The hash is FNV-1a.
fn process_of(host: &str) -> u32 {
    let hash =
        host.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    1 << 30 | (hash >> 8)
}

/// Nanoseconds as the microseconds of the format, to the nanosecond.
fn micros(ns: u64) -> String {
    format!("{}.{:03}", ns / 1000, ns % 1000)
}

/// A string of JSON.
fn text(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock = Clock { wall: false, base_ns: 0 };

    fn read(mono_ns: u64, dt_ns: u64, tx_bytes_per_s: f64, flags: u32) -> Sample {
        Sample {
            nic: 0,
            flags,
            mono_ns,
            wall_minus_mono_ns: 1_000_000,
            dt_ns,
            tx_bytes: 0,
            rx_bytes: 0,
            tx_bytes_per_s,
            rx_bytes_per_s: f64::NAN,
        }
    }

    fn course_of(samples: &[Sample]) -> Course {
        course(&samples.iter().collect::<Vec<_>>(), CLOCK, 9_000)
    }

    #[test]
    fn a_rate_stands_where_its_interval_begins_and_ends_with_the_last_read() {
        let course = course_of(&[
            read(1_000, 0, f64::NAN, bit(Mark::New)),
            read(2_000, 1_000, 125e6, 0),
            read(3_000, 1_000, 0.0, 0),
        ]);
        assert_eq!(course.tx, [(1_000, 1.0), (2_000, 0.0), (3_000, 0.0)]);
        assert_eq!((course.rx, course.unknown), (vec![], vec![]), "never known: no track");
    }

    #[test]
    fn where_nothing_is_known_a_slice_says_why() {
        let course = course_of(&[
            read(2_000, 1_000, 125e6, 0),
            read(2_000, 0, f64::NAN, bit(Mark::Stale)),
            read(2_000, 0, f64::NAN, bit(Mark::Stale)),
            read(6_000, 0, f64::NAN, bit(Mark::New)),
            read(7_000, 1_000, 250e6, 0),
            read(8_000, 0, f64::NAN, bit(Mark::Gone)),
        ]);
        assert_eq!(course.tx, [(1_000, 1.0), (2_000, 0.0), (6_000, 2.0), (7_000, 0.0)]);
        assert_eq!(course.unknown, [(2_000, 6_000, bit(Mark::Stale)), (7_000, 9_000, bit(Mark::Gone))]);
        assert_eq!(why(bit(Mark::Stale)), "it could not be read");
        assert_eq!(why(0), "not known");
    }

    #[test]
    fn clocks_differ_by_what_the_sample_says_and_never_fall_below_zero() {
        let wall = Clock::new(CLOCK_REALTIME, 500_000).unwrap();
        assert_eq!(wall.at(2_000, 1_000_000), 502_000);
        assert_eq!(Clock::new(CLOCK_MONOTONIC, 500).unwrap().at(2_000, 1_000_000), 1_500);
        assert_eq!(Clock::new(CLOCK_MONOTONIC, 5_000).unwrap().at(2_000, 1_000_000), 0);
        assert!(Clock::new(0, 0).is_err());
    }

    #[test]
    fn times_are_exact_to_the_nanosecond() {
        assert_eq!(micros(1_795_000_000_123_456_007), "1795000000123456.007");
    }

    #[test]
    fn hosts_have_process_numbers_of_their_own_above_those_of_linux() {
        let (a, b) = (process_of("node1"), process_of("node2"));
        assert_ne!(a, b);
        assert!(a > 1 << 22 && a < 1 << 31, "{a}");
    }
}
