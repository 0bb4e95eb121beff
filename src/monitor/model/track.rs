//! Rates: what changed between two reads of the same counters, over the time between those two reads.
//!
//! No rate at first sight, after a reset, or over a gap (a tick without a good read, or a pause of the monitor), and none
//! over a time that is not known well because a read took long: the next one is then over the time since a read that did not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::view::{CounterView, Flow, Mark, Tally};
use crate::monitor::counter::{Kind, PerHealth};
use crate::monitor::moment::Moment;
use crate::monitor::sample::{RawCounter, Reading, Traffic};

/// One row: what its next rates are made from.
#[derive(Debug)]
struct Track {
    /// The last good read.
    last: Look,
    /// Where the next rates begin, where that is an earlier read whose moment is known better.
    begin: Option<Look>,
    incarnation: u64,
    late: bool,
    /// Tick of the last good read.
    tick: u64,
    /// What was shown at it.
    shown: Rates,
}

/// What a read gave, and when.
#[derive(Debug)]
struct Look {
    moment: Moment,
    /// How much later than the traffic the last of the counters was read.
    rest_ns: u64,
    traffic: Traffic,
    /// Values by name.
    counters: HashMap<Cow<'static, str>, u64>,
}

impl Look {
    fn of(reading: &Reading) -> Self {
        Self {
            moment: moment(reading),
            rest_ns: reading.rest_ns,
            traffic: reading.traffic,
            counters: reading.counters.iter().map(|c| (c.desc.name.clone(), c.value)).collect(),
        }
    }
}

impl Track {
    /// Where the next rates begin.
    fn begin(&self) -> &Look {
        self.begin.as_ref().unwrap_or(&self.last)
    }
}

fn moment(reading: &Reading) -> Moment {
    Moment { at_ns: reading.mono_ns, span_ns: reading.span_ns }
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
    /// See [`Reading::span_ns`].
    pub span_ns: u64,
    /// Of what: see [`Reading::incarnation`].
    pub incarnation: u64,
    /// What the rates are over: since the previous good read, or the last of them whose moment was known well enough.
    pub dt: Option<Duration>,
    /// `New`, `Reset`, `Unsure` or `Stale`.
    pub marks: Vec<Mark>,
}

/// All rows' last good reads, by key.
#[derive(Debug, Default)]
pub struct Tracks {
    by_key: HashMap<String, Track>,
    tick: u64,
    interval_ns: u64,
    longest: Duration,
}

/// How long a row that was not read is remembered.
const MEMORY_TICKS: u64 = 600;
/// Most rows that were not read at the last tick and are remembered, the latest: names may be another machine's choice.
const MEMORY_ROWS: usize = 1024;

/// The longest time between two late answers, or two reads of which one took long, that a rate is made of.
const SLOWEST: Duration = Duration::from_secs(60);

impl Tracks {
    /// Begins a tick.
    pub fn begin(&mut self, interval: Duration) {
        self.tick += 1;
        self.interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
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
        let before = self.by_key.remove(key);
        let rates = derive(before.as_ref(), reading, self.tick, self.longest);
        // Without rates it goes on from where it was, so that nothing is left out; unless that would not do for the next
        // read either, and from here the time is known well enough sooner.
        let next_ns = reading.mono_ns.saturating_add(self.interval_ns);
        let goes_on = rates.dt.is_none() && !rates.marks.iter().any(|m| matches!(m, Mark::New | Mark::Reset));
        let begin =
            before.filter(|_| goes_on).map(|before| before.begin.unwrap_or(before.last)).filter(|begin| {
                begin.moment.is_good_by(next_ns) || !moment(reading).is_better_than(begin.moment)
            });
        let track = Track {
            last: Look::of(reading),
            begin,
            incarnation: reading.incarnation,
            late: reading.late,
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
        self.by_key.get(key).is_some_and(|t| !t.last.traffic.is_unknown())
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
        span_ns: reading.span_ns,
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
    let now = moment(reading);
    let since_last = before.last.moment.until(now);
    if since_last.is_zero() {
        return rates;
    }
    if went_back(&before.last, reading) {
        rates.dt = Some(since_last);
        rates.marks.push(Mark::Reset);
        return rates;
    }
    let begin = before.begin();
    let dt = begin.moment.until(now);
    // The last read is not long ago, or this is no going on; the one that rates begin at may be.
    let longest = longest.max(if slow { SLOWEST } else { Duration::ZERO });
    if since_last > longest || dt > longest.max(SLOWEST) {
        rates.marks.push(Mark::New);
        return rates;
    }
    if !begin.moment.is_sure_until(now, 0) {
        rates.marks.push(Mark::Unsure);
        return rates;
    }
    rates.dt = Some(dt);
    let rate = |now: Option<u64>, then: Option<u64>| Some(per_second(now?.checked_sub(then?)?, dt));
    rates.tx.bytes_per_s = rate(reading.traffic.tx_bytes, begin.traffic.tx_bytes);
    rates.rx.bytes_per_s = rate(reading.traffic.rx_bytes, begin.traffic.rx_bytes);
    rates.tx.ops_per_s = rate(reading.traffic.tx_ops, begin.traffic.tx_ops);
    rates.rx.ops_per_s = rate(reading.traffic.rx_ops, begin.traffic.rx_ops);
    // The others are read after the traffic, always in the same order: each is later by as much every time, unless one of those
    // reads hung.
    if begin.moment.is_sure_until(now, begin.rest_ns.abs_diff(reading.rest_ns)) {
        for counter in &mut rates.counters {
            let then = begin.counters.get(counter.name()).copied();
            let grown = then.and_then(|then| growth(counter.desc.kind, then, counter.value));
            counter.per_s = grown.map(|grown| per_second(grown, dt));
        }
        rates.health = health(&rates.counters);
    } else {
        rates.marks.push(Mark::Unsure);
    }
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
fn went_back(before: &Look, reading: &Reading) -> bool {
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
mod tests;
