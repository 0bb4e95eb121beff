//! What is kept as a Chrome trace: the JSON of Chrome's `about:tracing`, which Perfetto and everybody else reads too.
//! Format: "Trace Event Format", Google, linked from <https://perfetto.dev/docs/faq>.
//!
//! What tracks show is in `course`, what they are called in `labels`. A value that stays is written once.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::abi::{Balance, CLOCK_MONOTONIC, CLOCK_REALTIME, Sample};
use crate::course::{Direction, Unknown, absences, balance_course, course, shared};
use crate::error::Error;
use crate::labels::Labels;
use crate::store::Kept;

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
    pub(crate) fn at(self, mono_ns: u64, wall_minus_mono_ns: i64) -> u64 {
        let offset = if self.wall { i128::from(wall_minus_mono_ns) } else { 0 };
        u64::try_from(i128::from(mono_ns) + offset - i128::from(self.base_ns)).unwrap_or(0)
    }
}

/// The whole trace.
pub(crate) fn trace(kept: &Kept, interval_ns: u64, notes: &[String], clock: Clock) -> String {
    let mut events = Events::new(kept, clock);
    if let Some(first) = kept.samples.iter().next().filter(|_| kept.samples.lost() > 0) {
        let name = format!("{} older samples were lost: railtop's memory was full", kept.samples.lost());
        let at = micros(clock.at(first.mono_ns, first.wall_minus_mono_ns));
        events.add(&format!("\"ph\":\"i\",\"s\":\"p\",\"name\":{},\"ts\":{at}", text(&name)));
    }
    for nic in 0..kept.nics.len() {
        events.nic(nic);
    }
    for group in 0..kept.groups.len() {
        events.group(group);
    }
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "host": kept.host,
        "clock": if clock.wall { "realtime" } else { "monotonic" },
        "base_ns": clock.base_ns,
        "clocks": clocks(kept),
        "interval_ns": interval_ns,
        "ticks": kept.ticks,
        "missed_ticks": kept.missed,
        "lost_samples": kept.samples.lost(),
        "notes": notes,
    });
    format!("{{\"traceEvents\":[\n{}\n],\n\"displayTimeUnit\":\"ns\",\n\"railtop\":{about}}}\n", events.out)
}

/// Both clocks at the first and at the last sample, to go from one to the other.
fn clocks(kept: &Kept) -> Vec<Value> {
    let ends = [kept.balances.iter().next(), kept.balances.iter().last()];
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
    kept: &'a Kept,
    pid: u32,
    /// Samples by NIC and balances by group, so that each is gone through once.
    by_nic: Vec<Vec<&'a Sample>>,
    by_group: Vec<Vec<&'a Balance>>,
    labels: Labels,
    /// When the last sample of all was, where what is open ends.
    latest: u64,
}

impl<'a> Events<'a> {
    fn new(kept: &'a Kept, clock: Clock) -> Self {
        let mut by_nic = vec![Vec::new(); kept.nics.len()];
        for sample in kept.samples.iter() {
            by_nic[sample.nic as usize].push(sample);
        }
        let mut by_group = vec![Vec::new(); kept.groups.len()];
        for balance in kept.balances.iter() {
            by_group[balance.group as usize].push(balance);
        }
        let samples = kept.samples.iter().map(|s| clock.at(s.mono_ns, s.wall_minus_mono_ns));
        let balances = kept.balances.iter().map(|b| clock.at(b.mono_ns, b.wall_minus_mono_ns));
        let latest = samples.chain(balances).max().unwrap_or(0);
        let (pid, labels) = (process_of(&kept.host), Labels::of(kept));
        let mut events = Self { out: String::new(), clock, kept, pid, by_nic, by_group, labels, latest };
        let name = text(&format!("NICs of {} (railtop)", kept.host));
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

    /// Slices in a row of their own, with what they say.
    fn slices(&mut self, thread: usize, label: &str, slices: &[Unknown]) {
        if !slices.is_empty() {
            let label = text(label);
            self.add(&format!(
                "\"tid\":{thread},\"ph\":\"M\",\"name\":\"thread_name\",\"args\":{{\"name\":{label}}}"
            ));
        }
        for (begin, end, name) in slices {
            let (at, length, name) = (micros(*begin), micros(end.saturating_sub(*begin)), text(name));
            self.add(&format!("\"tid\":{thread},\"ph\":\"X\",\"name\":{name},\"ts\":{at},\"dur\":{length}"));
        }
    }

    /// Tx and Rx of a NIC, and slices where they are not known.
    fn nic(&mut self, number: usize) {
        let label = self.labels.nics[number].clone();
        let [tx, rx] = [Direction::TX, Direction::RX]
            .map(|direction| course(&self.by_nic[number], direction, self.clock, self.latest));
        self.track(&format!("{label} Tx"), "Gbit/s", &tx.rates);
        self.track(&format!("{label} Rx"), "Gbit/s", &rx.rates);
        // Rows of a NIC and of a group have numbers of their own: three for each NIC, then one for each group.
        let row = 3 * number + 1;
        let (both, tx, rx) = shared(tx.unknown, rx.unknown);
        let named = |slices: Vec<Unknown>, what: &str| -> Vec<Unknown> {
            slices.into_iter().map(|(begin, end, why)| (begin, end, format!("no {what}: {why}"))).collect()
        };
        self.slices(row, &label, &named(both, "rate"));
        self.slices(row + 1, &format!("{label} Tx"), &named(tx, "Tx rate"));
        self.slices(row + 2, &format!("{label} Rx"), &named(rx, "Rx rate"));
    }

    /// The balance of a group, where there is more than one NIC to share a load.
    fn group(&mut self, number: usize) {
        type Ratio = fn(&Balance) -> f64;
        let balances = std::mem::take(&mut self.by_group[number]);
        if balances.iter().all(|balance| balance.nics < 2) {
            return;
        }
        let label = self.labels.groups[number].clone();
        let directions: [(&str, Ratio); 2] =
            [("Tx", |balance| balance.tx_max_over_mean), ("Rx", |balance| balance.rx_max_over_mean)];
        for (direction, ratio) in directions {
            let points = balance_course(&balances, ratio, self.clock);
            self.track(&format!("{label} {direction} balance"), "max/mean", &points);
        }
        let row = 3 * self.kept.nics.len() + number + 1;
        self.slices(row, &label, &absences(&balances, self.clock, self.latest));
    }
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
