//! When the counters are read: when somebody asks, and not again while what was read is young enough.

use std::time::{Duration, Instant};

use hyper::body::Bytes;

use super::family::{Families, Family};
use super::own::Tally;
use super::text::{Format, page};
use super::{Options, families, ports};
use crate::monitor::counter::{Kind, Unit};
use crate::monitor::model::view::View;
use crate::monitor::{Monitor, Tick};

/// The interval that sources are told. Below a second, so that no look for counter pages is left out, as it is where a
/// screen looks often; devices are waited for this long at most.
const NOMINAL: Duration = Duration::from_millis(500);
/// The longest time between two reads that a group's gauges are made of: three times the usual longest scrape interval.
const LONGEST: Duration = Duration::from_secs(300);
/// The kernel's limit of a lifespan (`hw_stats` in `core/sysfs.c`).
const LONGEST_LIFESPAN: Duration = Duration::from_secs(10);

/// Reads for scrapers.
#[derive(Debug)]
pub struct Reader {
    monitor: Monitor,
    options: Options,
    least_age: Duration,
    tally: Tally,
    last: Option<Read>,
    news: bool,
}

/// What was read, and the pages made of it so far.
#[derive(Debug)]
struct Read {
    /// When it began.
    begun: Instant,
    /// When it was over. Its age counts from here: scrapes that came during a long read share it.
    at: Instant,
    /// How long it may be given out.
    life: Duration,
    tick: Tick,
    families: Vec<Family>,
    pages: [Option<Bytes>; 2],
}

impl Reader {
    /// Reads nothing yet. What is younger than `least_age` (or the lifespan that a driver gives its counters, where that
    /// is longer) is given out again.
    #[must_use]
    pub fn new(mut monitor: Monitor, options: Options, least_age: Duration) -> Self {
        monitor.set_needs(crate::monitor::sample::Needs {
            processes: false,
            gpus: false,
            ..crate::monitor::sample::Needs::everything()
        });
        Self { monitor, options, least_age, tally: Tally::default(), last: None, news: false }
    }

    /// Makes sure that something has been read that is young enough at `now`. `more` adds families of its own to a page
    /// that is made anew.
    pub fn refresh(&mut self, now: Instant, more: impl FnOnce(&mut Families)) {
        let age = |read: &Read| now.saturating_duration_since(read.at);
        if self.last.as_ref().is_some_and(|read| age(read) < read.life) {
            return;
        }
        self.monitor.set_interval(NOMINAL);
        let sample = self.monitor.sample();
        // The model is told how long it really was: scrapes have no interval that it could know.
        let since = self.last.as_ref().map_or(NOMINAL, |read| now.saturating_duration_since(read.begun));
        self.monitor.set_interval(since.clamp(NOMINAL, LONGEST));
        let tick = self.monitor.derive(&sample);
        let at = Instant::now();
        self.tally.count(&tick, at.saturating_duration_since(now));
        let mut made = families(&tick, &self.tally, &self.options);
        more(&mut made);
        let life = self.least_age.max(lifespan(&tick));
        self.last = Some(Read { begun: now, at, life, tick, families: made.finish(), pages: [None, None] });
        self.news = true;
    }

    /// The page of what was last read; empty before.
    pub fn page(&mut self, format: Format) -> Bytes {
        let Some(read) = &mut self.last else { return Bytes::new() };
        let [prometheus, openmetrics] = &mut read.pages;
        let place = match format {
            Format::Prometheus => prometheus,
            Format::OpenMetrics => openmetrics,
        };
        place.get_or_insert_with(|| page(&read.families, format).into()).clone()
    }

    /// The view of the last read, if it was not taken before.
    pub fn take_view(&mut self) -> Option<&View> {
        let news = std::mem::take(&mut self.news);
        self.last.as_ref().filter(|_| news).map(|read| &read.tick.view)
    }
}

/// The longest time for which one of the drivers answers with the same numbers.
fn lifespan(tick: &Tick) -> Duration {
    let counters = ports::rows(tick).flat_map(|row| &row.counters);
    let settings = counters.filter(|c| c.desc.kind == Kind::Setting && c.desc.unit == Unit::Milliseconds);
    let longest = settings.map(|c| c.value).max().unwrap_or(0);
    Duration::from_millis(longest).min(LONGEST_LIFESPAN)
}
