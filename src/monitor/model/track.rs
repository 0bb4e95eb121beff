//! Rates: what changed between two reads of the same counters, over the time between those two reads.
//!
//! No rate at first sight, after a reset, or over a gap (a tick without a good read, or a pause of the monitor).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::view::{CounterView, Flow, Mark, Tally};
use crate::monitor::counter::{Kind, PerHealth};
use crate::monitor::sample::{RawCounter, Reading, Traffic};

/// The last good read of one row.
#[derive(Debug)]
struct Track {
    reading_ns: u64,
    incarnation: u64,
    late: bool,
    traffic: Traffic,
    /// Values by name.
    counters: HashMap<Cow<'static, str>, u64>,
    /// Tick of the last good read.
    tick: u64,
    /// What was shown at it.
    shown: Rates,
}

/// What a row shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rates {
    /// Sent.
    pub tx: Flow,
    /// Received.
    pub rx: Flow,
    /// By name.
    pub counters: Vec<CounterView>,
    /// Sums of those that tell how the NIC is.
    pub health: PerHealth<Tally>,
    /// When it was read.
    pub mono_ns: u64,
    /// Of what: see [`Reading::incarnation`].
    pub incarnation: u64,
    /// Since the previous good read.
    pub dt: Option<Duration>,
    /// `New`, `Reset` or `Stale`.
    pub marks: Vec<Mark>,
}

/// All rows' last good reads, by key.
#[derive(Debug, Default)]
pub struct Tracks {
    by_key: HashMap<String, Track>,
    tick: u64,
    longest: Duration,
}

/// How long a row that was not read is remembered.
const MEMORY_TICKS: u64 = 600;
/// Most rows that were not read at the last tick and are remembered, the latest: names may be another machine's choice.
const MEMORY_ROWS: usize = 1024;

/// The longest time between two late answers that a rate is made of.
const SLOWEST: Duration = Duration::from_secs(60);

impl Tracks {
    /// Begins a tick.
    pub fn begin(&mut self, interval: Duration) {
        self.tick += 1;
        // A late tick is fine, its time is measured. Far more than that, and something else happened: a suspended
        // machine, a stopped process. An average over that would look like a rate of now.
        self.longest = (interval * 3).max(interval + Duration::from_secs(2));
        let tick = self.tick;
        self.by_key.retain(|_, t| tick - t.tick <= MEMORY_TICKS);
        let mut unread: Vec<u64> = self.by_key.values().map(|t| t.tick).filter(|&at| at + 1 < tick).collect();
        if unread.len() > MEMORY_ROWS {
            unread.sort_unstable();
            let oldest = unread[unread.len() - MEMORY_ROWS];
            self.by_key.retain(|_, t| t.tick > oldest);
        }
    }

    /// A good read of the row `key`.
    pub fn good(&mut self, key: &str, reading: &Reading) -> Rates {
        let before = self.by_key.get(key);
        let rates = derive(before, reading, self.tick, self.longest);
        let track = Track {
            reading_ns: reading.mono_ns,
            incarnation: reading.incarnation,
            late: reading.late,
            traffic: reading.traffic,
            counters: reading.counters.iter().map(|c| (c.desc.name.clone(), c.value)).collect(),
            tick: self.tick,
            shown: rates.clone(),
        };
        self.by_key.insert(key.to_owned(), track);
        rates
    }

    /// A read whose values nobody updates any more: no rate, and a gap before the next good read.
    #[must_use]
    pub fn unmoved(&self, reading: &Reading) -> Rates {
        Rates { marks: Vec::new(), ..derive(None, reading, self.tick, self.longest) }
    }

    /// The row `key` could not be read: what it last said, without any rate.
    #[must_use]
    pub fn stale(&self, key: &str) -> Rates {
        let mut rates = self.by_key.get(key).map(|t| t.shown.clone()).unwrap_or_default();
        rates.without_rates();
        rates.marks = vec![Mark::Stale];
        rates
    }

    /// Whether the row `key` ever gave traffic counters.
    #[must_use]
    pub fn had_traffic(&self, key: &str) -> bool {
        self.by_key.get(key).is_some_and(|t| !t.traffic.is_unknown())
    }
}

impl Rates {
    /// Drops every rate and keeps the values.
    pub fn without_rates(&mut self) {
        for flow in [&mut self.tx, &mut self.rx] {
            (flow.bytes_per_s, flow.ops_per_s) = (None, None);
        }
        for counter in &mut self.counters {
            counter.per_s = None;
        }
        self.health = health(&self.counters);
        self.dt = None;
    }
}

fn derive(before: Option<&Track>, reading: &Reading, tick: u64, longest: Duration) -> Rates {
    let mut rates = Rates {
        tx: Flow { bytes: reading.traffic.tx_bytes, ops: reading.traffic.tx_ops, ..Flow::default() },
        rx: Flow { bytes: reading.traffic.rx_bytes, ops: reading.traffic.rx_ops, ..Flow::default() },
        counters: reading.counters.iter().map(value).collect(),
        mono_ns: reading.mono_ns,
        incarnation: reading.incarnation,
        ..Rates::default()
    };
    rates.health = health(&rates.counters);
    // After a gap a row begins again, like at first sight. Between two late answers there is none: the device is always
    // slower than the ticks, and goes on at its own pace.
    let slow = reading.late && before.is_some_and(|b| b.late);
    let goes_on = |b: &&Track| b.incarnation == reading.incarnation && (tick - b.tick <= 1 || slow);
    let Some(before) = before.filter(goes_on) else {
        rates.marks.push(Mark::New);
        return rates;
    };
    let dt = Duration::from_nanos(reading.mono_ns.saturating_sub(before.reading_ns));
    if dt.is_zero() {
        return rates;
    }
    if went_back(before, reading) {
        rates.dt = Some(dt);
        rates.marks.push(Mark::Reset);
        return rates;
    }
    if dt > longest.max(if slow { SLOWEST } else { Duration::ZERO }) {
        rates.marks.push(Mark::New);
        return rates;
    }
    rates.dt = Some(dt);
    let rate = |now: Option<u64>, then: Option<u64>| Some(per_second(now?.checked_sub(then?)?, dt));
    rates.tx.bytes_per_s = rate(reading.traffic.tx_bytes, before.traffic.tx_bytes);
    rates.rx.bytes_per_s = rate(reading.traffic.rx_bytes, before.traffic.rx_bytes);
    rates.tx.ops_per_s = rate(reading.traffic.tx_ops, before.traffic.tx_ops);
    rates.rx.ops_per_s = rate(reading.traffic.rx_ops, before.traffic.rx_ops);
    for counter in &mut rates.counters {
        let then = before.counters.get(counter.name()).copied();
        let grown = then.and_then(|then| growth(counter.desc.kind, then, counter.value));
        counter.per_s = grown.map(|grown| per_second(grown, dt));
    }
    rates.health = health(&rates.counters);
    rates
}

/// A counter without a rate yet.
fn value(counter: &RawCounter) -> CounterView {
    CounterView {
        desc: Arc::clone(&counter.desc),
        value: counter.value,
        per_s: None,
        saturated: counter.stands_at_its_maximum(),
    }
}

/// By how much a counter has grown; `None` where its kind has no growth, or it is not known.
fn growth(kind: Kind, then: u64, now: u64) -> Option<u64> {
    match kind {
        // At its maximum a counter may have counted any number more.
        Kind::Saturating(_) if kind.maximum() == Some(now) => None,
        // A smaller value means that it began again, or that somebody cleared it.
        Kind::Monotonic64 | Kind::Saturating(_) => now.checked_sub(then),
        Kind::Wrap32 => {
            let grown = u32::try_from(now).ok()?.wrapping_sub(u32::try_from(then).ok()?);
            // More than half of the range in one interval is no wrap: nothing counts two thousand million so fast.
            (now >= then || grown < 1 << 31).then_some(grown.into())
        }
        Kind::Gauge | Kind::Setting => None,
    }
}

/// The health quantities: sums of the counters that feed them. A rate is known when one of its counters has one.
fn health(counters: &[CounterView]) -> PerHealth<Tally> {
    let mut all = PerHealth::<Tally>::default();
    for counter in counters {
        let Some(quantity) = counter.desc.feeds else { continue };
        let tally = &mut all[quantity];
        tally.total = Some(tally.total.unwrap_or(0).saturating_add(counter.value));
        if let Some(per_s) = counter.per_s {
            tally.per_s = Some(tally.per_s.unwrap_or(0.0) + per_s);
        }
    }
    all
}

/// Whether the device's counters began again.
///
/// One that only grows and is smaller says so. 32-bit counters wrap, and one that nobody knows may be a gauge: of those
/// it takes two that fell (to near nothing) at the same time, which is no coincidence, and no single one can say it.
fn went_back(before: &Track, reading: &Reading) -> bool {
    if reading.traffic.went_back(&before.traffic) {
        return true;
    }
    let mut fell = 0;
    for counter in &reading.counters {
        if before.counters.get(counter.name()).is_none_or(|&then| counter.value >= then) {
            continue;
        }
        match counter.desc.kind {
            Kind::Monotonic64 if counter.desc.is_known() => return true,
            // A name in no table may be a gauge: alone it condemns nobody.
            Kind::Monotonic64 => fell += 1,
            Kind::Wrap32 => fell += usize::from(counter.value < NEAR_NOTHING),
            Kind::Saturating(_) | Kind::Gauge | Kind::Setting => {}
        }
    }
    fell >= 2
}

/// A 32-bit counter that fell below this may have begun again rather than wrapped.
const NEAR_NOTHING: u64 = 1 << 16;

fn per_second(grown: u64, dt: Duration) -> f64 {
    grown as f64 / dt.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::counter::{Desc, Health};
    use test_case::test_case;

    const SECOND: Duration = Duration::from_secs(1);

    fn reading(at_ns: u64, bytes: u64) -> Reading {
        Reading {
            mono_ns: at_ns,
            traffic: Traffic { tx_bytes: Some(bytes), rx_bytes: Some(2 * bytes), ..Traffic::default() },
            counters: vec![RawCounter::unknown("tx_bytes", bytes)],
            ..Reading::default()
        }
    }

    /// One tick with one good read.
    fn tick(tracks: &mut Tracks, reading: &Reading) -> Rates {
        tracks.begin(SECOND);
        tracks.good("nic", reading)
    }

    #[test]
    fn names_that_rotate_are_forgotten_the_oldest_first() {
        let mut tracks = Tracks::default();
        for n in 0..100_u64 {
            tracks.begin(Duration::from_secs(1));
            for k in 0..100 {
                let _first = tracks.good(&format!("{n}/{k}"), &reading(5, 5));
            }
        }
        assert!(tracks.by_key.len() <= MEMORY_ROWS + 200, "{}", tracks.by_key.len());
        assert!(tracks.had_traffic("95/0") && !tracks.had_traffic("5/0"));
    }

    #[test]
    fn first_sight_has_values_and_no_rate() {
        let rates = tick(&mut Tracks::default(), &reading(5, 1 << 50));
        assert_eq!(rates.tx.bytes, Some(1 << 50));
        assert_eq!((rates.tx.bytes_per_s, rates.dt), (None, None));
        assert_eq!(rates.marks, [Mark::New]);
    }

    #[test]
    fn the_rate_is_the_change_over_the_measured_time() {
        let mut tracks = Tracks::default();
        tick(&mut tracks, &reading(1_000_000_000, 100));
        let rates = tick(&mut tracks, &reading(2_250_000_000, 1100));
        assert_eq!(rates.dt, Some(Duration::from_millis(1250)));
        assert_eq!(rates.tx.bytes_per_s, Some(800.0));
        assert_eq!(rates.rx.bytes_per_s, Some(1600.0));
        assert_eq!(rates.counters[0].per_s, Some(800.0));
        assert_eq!(rates.marks, []);
    }

    #[test]
    fn a_counter_that_goes_down_is_a_reset_and_the_next_rate_is_right() {
        let mut tracks = Tracks::default();
        tick(&mut tracks, &reading(1_000_000_000, 1_000_000));
        let reset = tick(&mut tracks, &reading(2_000_000_000, 10));
        assert_eq!(reset.marks, [Mark::Reset]);
        assert_eq!((reset.tx.bytes_per_s, reset.counters[0].per_s), (None, None));
        assert_eq!(reset.tx.bytes, Some(10));
        let after = tick(&mut tracks, &reading(3_000_000_000, 110));
        assert_eq!(after.tx.bytes_per_s, Some(100.0));
        assert_eq!(after.marks, []);
    }

    /// A reading with one more counter of this kind.
    fn with(ns: u64, bytes: u64, kind: Kind, value: u64) -> Reading {
        let mut r = reading(ns, bytes);
        let help = "known".into();
        let desc = Desc { kind, feeds: Some(Health::Drops), help, ..Desc::unknown("other") };
        r.counters.push(RawCounter { desc: Arc::new(desc), value });
        r
    }

    #[test_case(Kind::Monotonic64, 7, 17, Some(10.0), false; "grows")]
    #[test_case(Kind::Monotonic64, 7, 0, None, true; "one that only grows and is smaller resets all")]
    #[test_case(Kind::Wrap32, 4_294_967_290, 4, Some(10.0), false; "wraps")]
    #[test_case(Kind::Wrap32, 2_000, 4, None, false; "no wrap and not enough for a reset")]
    #[test_case(Kind::Wrap32, 1 << 40, 4, None, false; "wider than it should be")]
    #[test_case(Kind::Saturating(4), 3, 9, Some(6.0), false; "below its maximum")]
    #[test_case(Kind::Saturating(4), 3, 15, None, false; "reaches its maximum")]
    #[test_case(Kind::Saturating(16), 65_535, 0, None, false; "cleared")]
    #[test_case(Kind::Gauge, 9, 3, None, false; "a gauge falls")]
    #[test_case(Kind::Setting, 10, 12, None, false; "a setting changes")]
    fn a_rate_follows_the_kind(kind: Kind, then: u64, now: u64, per_s: Option<f64>, reset: bool) {
        let mut tracks = Tracks::default();
        tick(&mut tracks, &with(1_000_000_000, 500, kind, then));
        let rates = tick(&mut tracks, &with(2_000_000_000, 600, kind, now));
        assert_eq!(rates.counters[1].per_s, per_s);
        assert_eq!(rates.health[Health::Drops], Tally { total: Some(now), per_s });
        assert_eq!(rates.marks, if reset { vec![Mark::Reset] } else { vec![] });
        assert_eq!(rates.tx.bytes_per_s, (!reset).then_some(100.0));
    }

    #[test]
    fn a_counter_that_nobody_knows_is_no_proof_of_a_reset() {
        let unknown = |ns, value| {
            let mut r = reading(ns, ns / 10_000_000);
            r.counters.push(RawCounter::unknown("new_name", value));
            r
        };
        let mut tracks = Tracks::default();
        tick(&mut tracks, &unknown(1_000_000_000, 9));
        let rates = tick(&mut tracks, &unknown(2_000_000_000, 3));
        assert_eq!((rates.marks, rates.counters[1].per_s), (vec![], None));
        assert_eq!(rates.tx.bytes_per_s, Some(100.0));
        assert_eq!(tick(&mut tracks, &unknown(3_000_000_000, 5)).counters[1].per_s, Some(2.0));
    }

    #[test]
    fn two_narrow_counters_near_nothing_at_once_are_a_reset() {
        let two = |ns, a, b| {
            let mut r = with(ns, 500, Kind::Wrap32, a);
            let desc = Desc { kind: Kind::Wrap32, ..Desc::unknown("another") };
            r.counters.push(RawCounter { desc: Arc::new(desc), value: b });
            r
        };
        let mut tracks = Tracks::default();
        tick(&mut tracks, &two(1_000_000_000, 4_294_967_290, 4_294_967_295));
        assert_eq!(tick(&mut tracks, &two(2_000_000_000, 4, 0)).marks, [Mark::Reset]);
    }

    #[test]
    fn a_counter_at_its_maximum_is_marked() {
        let rates = tick(&mut Tracks::default(), &with(5, 1, Kind::Saturating(8), 255));
        assert!(rates.counters[1].saturated && !rates.counters[0].saturated);
    }

    #[test]
    fn a_failed_read_shows_the_last_values_and_never_a_rate() {
        let mut tracks = Tracks::default();
        tick(&mut tracks, &reading(1_000_000_000, 100));
        tick(&mut tracks, &reading(2_000_000_000, 200));
        tracks.begin(SECOND);
        let stale = tracks.stale("nic");
        assert_eq!(stale.marks, [Mark::Stale]);
        assert_eq!((stale.tx.bytes, stale.tx.bytes_per_s, stale.dt), (Some(200), None, None));
        assert_eq!(stale.mono_ns, 2_000_000_000);

        // It comes back two ticks later: no rate over the gap, then rates again.
        let back = tick(&mut tracks, &reading(4_000_000_000, 9_000_000));
        assert_eq!((back.tx.bytes_per_s, back.marks), (None, vec![Mark::New]));
        assert_eq!(tick(&mut tracks, &reading(5_000_000_000, 9_000_050)).tx.bytes_per_s, Some(50.0));
    }

    #[test]
    fn a_device_that_is_always_late_has_a_rate_over_its_own_time_and_one_that_hung_once_has_a_gap() {
        let mut tracks = Tracks::default();
        let late = |ns, bytes| Reading { late: true, ..reading(ns, bytes) };
        tick(&mut tracks, &reading(1_000_000_000, 100));
        tracks.begin(SECOND);
        let first = tick(&mut tracks, &late(3_000_000_000, 9_000));
        assert_eq!((first.tx.bytes_per_s, first.marks), (None, vec![Mark::New]));
        for _ in 0..5 {
            tracks.begin(SECOND);
        }
        let second = tick(&mut tracks, &late(9_000_000_000, 9_600));
        assert_eq!((second.tx.bytes_per_s, second.dt), (Some(100.0), Some(Duration::from_secs(6))));
        assert_eq!(tick(&mut tracks, &late(90_000_000_000, 10_000)).tx.bytes_per_s, None, "too long");
    }

    #[test]
    fn values_that_nobody_updates_have_no_rate_and_neither_has_the_jump_after_them() {
        let mut tracks = Tracks::default();
        tick(&mut tracks, &reading(1_000_000_000, 100));
        for second in 2..4 {
            tracks.begin(SECOND);
            let still = tracks.unmoved(&reading(second * 1_000_000_000, 100));
            assert_eq!((still.tx.bytes, still.tx.bytes_per_s, still.marks), (Some(100), None, vec![]));
        }
        let back = tick(&mut tracks, &reading(4_000_000_000, 9_000_000));
        assert_eq!((back.tx.bytes_per_s, back.marks), (None, vec![Mark::New]));
        assert_eq!(tick(&mut tracks, &reading(5_000_000_000, 9_000_050)).tx.bytes_per_s, Some(50.0));
    }

    #[test]
    fn a_pause_of_the_monitor_is_a_gap() {
        let mut tracks = Tracks::default();
        tick(&mut tracks, &reading(1_000_000_000, 0));
        let late = tick(&mut tracks, &reading(60_000_000_000, 1_000_000));
        assert_eq!((late.tx.bytes_per_s, late.marks), (None, vec![Mark::New]));
    }

    #[test]
    fn a_new_incarnation_is_first_sight_even_if_its_counters_are_higher() {
        let mut tracks = Tracks::default();
        tick(&mut tracks, &reading(1_000_000_000, 10));
        let restarted = Reading { incarnation: 1, ..reading(2_000_000_000, 1_000_000) };
        let rates = tick(&mut tracks, &restarted);
        assert_eq!((rates.tx.bytes_per_s, rates.marks), (None, vec![Mark::New]));
    }

    #[test]
    fn a_missing_counter_has_no_rate_when_it_returns() {
        let mut tracks = Tracks::default();
        tick(&mut tracks, &reading(1_000_000_000, 100));
        let mut without = reading(2_000_000_000, 200);
        without.traffic.tx_bytes = None;
        let rates = tick(&mut tracks, &without);
        assert_eq!((rates.tx.bytes, rates.tx.bytes_per_s), (None, None));
        assert_eq!(rates.rx.bytes_per_s, Some(200.0));
        let back = tick(&mut tracks, &reading(3_000_000_000, 300));
        assert_eq!((back.tx.bytes, back.tx.bytes_per_s), (Some(300), None));
    }

    #[test]
    fn a_constant_source_is_shown_within_a_fifth_of_a_percent_however_late_the_ticks_are() {
        // 90 Gb/s, read every 200 ms give or take 60 ms.
        let mut tracks = Tracks::default();
        let bytes_per_ns = 90.0 / 8.0;
        let mut at = 0_u64;
        for i in 0..200_u64 {
            at += 200_000_000 + (i * 7_919_777) % 60_000_000;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let rates = tick(&mut tracks, &reading(at, (at as f64 * bytes_per_ns) as u64));
            if i > 0 {
                let gbps = rates.tx.bytes_per_s.unwrap() * 8.0 / 1e9;
                assert!((gbps - 90.0).abs() < 90.0 * 0.002, "{gbps}");
            }
        }
    }
}
