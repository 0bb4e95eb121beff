//! What a counter track shows over time, and where it knows nothing.
//!
//! A counter keeps its value until the next one, so a rate is written at the beginning of the time it was measured over.
//! A counter cannot be absent: where a rate is not known it falls to 0, and a slice says why.

use railtop::monitor::model::view::Mark;

use crate::abi::{Balance, HAS_RX_BYTES, HAS_TX_BYTES, Sample};
use crate::store::{MARKS, bit};
use crate::trace::Clock;

/// From when to when nothing is known, and why.
pub(crate) type Unknown = (u64, u64, String);

/// The ratios of a group over time: from when on, and max/mean. One that nobody knows is 0.
pub(crate) fn balance_course(
    balances: &[&Balance],
    ratio: impl Fn(&Balance) -> f64,
    clock: Clock,
) -> Vec<(u64, f64)> {
    let mut points = Vec::new();
    let mut before = None;
    for balance in balances {
        let at = clock.at(balance.mono_ns, balance.wall_minus_mono_ns);
        let value = Some(ratio(balance)).filter(|ratio| ratio.is_finite()).unwrap_or(0.0);
        // It is of the time since the tick before.
        points.extend(before.map(|since| (since, value)));
        before = Some(at);
    }
    points.extend(before.zip(points.last().map(|&(_, value)| value)));
    points
}

/// From when to when a group was not there: since it was last seen, until it is seen again.
pub(crate) fn absences(balances: &[&Balance], clock: Clock, latest: u64) -> Vec<Unknown> {
    let absent = |begin, end| (begin, end, "no balance: the group is not there any more".to_owned());
    let mut found = Vec::new();
    let mut seen = None;
    let mut since: Option<u64> = None;
    for balance in balances {
        let at = clock.at(balance.mono_ns, balance.wall_minus_mono_ns);
        if balance.nics == 0 {
            since = since.or(seen);
        } else {
            found.extend(since.take().map(|begin| absent(begin, at)));
            seen = Some(at);
        }
    }
    found.extend(since.map(|begin| absent(begin, latest.max(begin))));
    found
}

/// One direction of a sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Direction {
    bytes_per_s: fn(&Sample) -> f64,
    /// What says that its bytes were read.
    has: u32,
}

impl Direction {
    pub(crate) const TX: Self = Self { bytes_per_s: |sample| sample.tx_bytes_per_s, has: HAS_TX_BYTES };
    pub(crate) const RX: Self = Self { bytes_per_s: |sample| sample.rx_bytes_per_s, has: HAS_RX_BYTES };
}

/// A NIC's rates of one direction over time.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Course {
    /// From when on, and Gbit/s.
    pub(crate) rates: Vec<(u64, f64)>,
    pub(crate) unknown: Vec<Unknown>,
}

pub(crate) fn course(samples: &[&Sample], direction: Direction, clock: Clock, latest: u64) -> Course {
    let mut course = Course::default();
    // Until when the last rate holds, and since when there is none.
    let mut known_until = None;
    let mut silent: Option<(u64, String)> = None;
    for sample in samples {
        let at = clock.at(sample.mono_ns, sample.wall_minus_mono_ns);
        let rate = (direction.bytes_per_s)(sample);
        if sample.dt_ns > 0 && rate.is_finite() {
            let since = clock.at(sample.mono_ns.saturating_sub(sample.dt_ns), sample.wall_minus_mono_ns);
            course.unknown.extend(silent.take().map(|(begin, why)| (begin, since, why)));
            course.rates.push((since, rate * 8.0 / 1e9));
            known_until = Some(at);
        } else if let (Some(until), None) = (known_until, &silent) {
            course.rates.push((until, 0.0));
            silent = Some((until, why(sample.flags, direction)));
        }
    }
    match (known_until, silent) {
        (_, Some((begin, why))) => course.unknown.push((begin, latest.max(begin), why)),
        // The last rate holds until the last read.
        (Some(until), None) => {
            let last = course.rates.last().map(|&(_, value)| (until, value));
            course.rates.extend(last);
        }
        (None, None) => {}
    }
    course
}

/// What is unknown in both directions alike, in Tx alone, and in Rx alone.
pub(crate) fn shared(tx: Vec<Unknown>, rx: Vec<Unknown>) -> (Vec<Unknown>, Vec<Unknown>, Vec<Unknown>) {
    let (both, tx): (Vec<_>, Vec<_>) = tx.into_iter().partition(|slice| rx.contains(slice));
    let rx = rx.into_iter().filter(|slice| !both.contains(slice)).collect();
    (both, tx, rx)
}

/// Why a direction of a NIC has no rate: its marks, or else that its counter was not there.
fn why(flags: u32, direction: Direction) -> String {
    let words: Vec<&str> =
        MARKS.into_iter().filter(|&mark| flags & bit(mark) != 0).map(Mark::words).collect();
    match (words.is_empty(), flags & direction.has) {
        (false, _) => words.join("; "),
        (true, 0) => "its counter could not be read".to_owned(),
        (true, _) => "not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::CLOCK_MONOTONIC;

    fn clock() -> Clock {
        Clock::new(CLOCK_MONOTONIC, 0).unwrap()
    }

    /// Both counters were read, unless a rate is missing over a time that was measured.
    fn read(mono_ns: u64, dt_ns: u64, (tx, rx): (f64, f64), mark: Option<Mark>) -> Sample {
        let has = |rate: f64, flag: u32| if dt_ns > 0 && rate.is_nan() { 0 } else { flag };
        Sample {
            nic: 0,
            flags: mark.map_or(0, bit) | has(tx, HAS_TX_BYTES) | has(rx, HAS_RX_BYTES),
            mono_ns,
            wall_minus_mono_ns: 1_000_000,
            dt_ns,
            tx_bytes: 0,
            rx_bytes: 0,
            tx_bytes_per_s: tx,
            rx_bytes_per_s: rx,
        }
    }

    fn courses(samples: &[Sample]) -> [Course; 2] {
        let samples: Vec<&Sample> = samples.iter().collect();
        [Direction::TX, Direction::RX].map(|direction| course(&samples, direction, clock(), 9_000))
    }

    const NAN: (f64, f64) = (f64::NAN, f64::NAN);

    fn slice(begin: u64, end: u64, why: &str) -> Unknown {
        (begin, end, why.to_owned())
    }

    #[test]
    fn a_rate_stands_where_its_interval_begins_and_ends_with_the_last_read() {
        let [tx, rx] = courses(&[
            read(1_000, 0, NAN, Some(Mark::New)),
            read(2_000, 1_000, (125e6, f64::NAN), None),
            read(3_000, 1_000, (0.0, f64::NAN), None),
        ]);
        assert_eq!(tx.rates, [(1_000, 1.0), (2_000, 0.0), (3_000, 0.0)]);
        assert_eq!(rx, Course::default(), "never known: no track");
    }

    #[test]
    fn where_nothing_is_known_a_slice_says_why() {
        let [tx, rx] = courses(&[
            read(2_000, 1_000, (125e6, 125e6), None),
            read(2_000, 0, NAN, Some(Mark::Stale)),
            read(2_000, 0, NAN, Some(Mark::Stale)),
            read(6_000, 0, NAN, Some(Mark::New)),
            read(7_000, 1_000, (250e6, 250e6), None),
            read(8_000, 0, NAN, Some(Mark::Gone)),
        ]);
        assert_eq!(tx.rates, [(1_000, 1.0), (2_000, 0.0), (6_000, 2.0), (7_000, 0.0)]);
        let silent = [slice(2_000, 6_000, "it could not be read"), slice(7_000, 9_000, "the device is gone")];
        assert_eq!(tx.unknown, silent);
        assert_eq!(shared(tx.unknown, rx.unknown), (silent.to_vec(), vec![], vec![]));
    }

    #[test]
    fn a_direction_alone_may_be_unknown() {
        let [tx, rx] = courses(&[
            read(2_000, 1_000, (125e6, 125e6), None),
            read(3_000, 1_000, (125e6, f64::NAN), None),
            read(4_000, 1_000, (125e6, f64::NAN), None),
            read(5_000, 1_000, (125e6, 250e6), None),
        ]);
        assert_eq!((tx.rates.len(), tx.rates[3], tx.unknown.len()), (5, (4_000, 1.0), 0));
        assert_eq!(rx.rates, [(1_000, 1.0), (2_000, 0.0), (4_000, 2.0), (5_000, 2.0)]);
        assert_eq!(rx.unknown, [slice(2_000, 4_000, "its counter could not be read")]);
        assert_eq!(shared(tx.unknown, rx.unknown.clone()), (vec![], vec![], rx.unknown));
        assert_eq!(why(HAS_TX_BYTES, Direction::TX), "not known");
    }

    #[test]
    fn a_group_that_ends_has_no_ratio_any_more() {
        let at = |mono_ns: u64, nics: u32, ratio: f64| Balance {
            group: 0,
            nics,
            mono_ns,
            wall_minus_mono_ns: 0,
            tx_bytes_per_s: f64::NAN,
            rx_bytes_per_s: f64::NAN,
            tx_max_over_mean: ratio,
            rx_max_over_mean: f64::NAN,
        };
        let seen = [at(1_000, 2, f64::NAN), at(2_000, 2, 2.0), at(3_000, 0, f64::NAN)];
        let seen: Vec<&Balance> = seen.iter().collect();
        let ratios = balance_course(&seen, |balance| balance.tx_max_over_mean, clock());
        assert_eq!(ratios, [(1_000, 2.0), (2_000, 0.0), (3_000, 0.0)]);
        let gone = "no balance: the group is not there any more";
        assert_eq!(absences(&seen, clock(), 9_000), [slice(2_000, 9_000, gone)]);
        let back = at(5_000, 2, 1.0);
        let seen: Vec<&Balance> = seen.into_iter().chain([&back]).collect();
        assert_eq!(absences(&seen, clock(), 9_000), [slice(2_000, 5_000, gone)]);
    }
}
