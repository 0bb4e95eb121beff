//! What the exporter says about itself: how often it has read, how long that took, and what went wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use super::family::{Families, Labels, Meta, counter, gauge, gauge_in, info, seconds};
use super::ports;
use crate::monitor::Tick;

const BUILD: Meta = info("railtop_build", "The version of railtop that made this page.");
const READS: Meta = counter("railtop_reads", "Times the counters were read; scrapes share a read.");
const READ_SECONDS: Meta = seconds("railtop_read_seconds", "Time that all reads took together.");
const LAST_READ: Meta =
    gauge_in("railtop_last_read_duration_seconds", "seconds", "Time that the last read took.");
const LAST_READ_AT: Meta = gauge_in(
    "railtop_last_read_timestamp_seconds",
    "seconds",
    "When the counters on this page were read, in seconds since 1970.",
);
const ERRORS: Meta = counter("railtop_read_errors", "Reads at which the port gave no numbers.");
const RESETS: Meta = counter("railtop_resets", "Times the port's counters were seen to begin again.");
const NOTICES: Meta =
    gauge("railtop_notices", "Things that a person should know; `railtop list` has them in words.");

/// What has been counted since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    reads: u64,
    took: Duration,
    last: Duration,
    /// By device and port. One that went away is remembered, since a driver that is loaded again takes its devices with
    /// it, and what they count then has begun again.
    ports: BTreeMap<(String, u8), PortTally>,
}

/// Most ports that are remembered, beside those that are there.
const MAX_ABSENT: usize = 256;

#[derive(Debug, Clone, Copy, Default)]
struct PortTally {
    errors: u64,
    resets: u64,
    /// The read at which it was last there.
    seen: u64,
    /// What it last said of bytes sent and received.
    bytes: [Option<u64>; 2],
}

impl Tally {
    /// Counts a read that took so long.
    pub(super) fn count(&mut self, tick: &Tick, took: Duration) {
        self.reads += 1;
        self.took += took;
        self.last = took;
        for row in ports::rows(tick) {
            let port = self.ports.entry((row.device.clone(), row.port)).or_default();
            port.seen = self.reads;
            let live = ports::is_live(row);
            port.errors += u64::from(!live);
            if live {
                // As who scrapes sees it: also over reads that failed, where the model only begins anew.
                let bytes = [row.tx.bytes, row.rx.bytes];
                let fell =
                    |(now, then): (&Option<u64>, &Option<u64>)| now.zip(*then).is_some_and(|(n, t)| n < t);
                port.resets += u64::from(bytes.iter().zip(&port.bytes).any(fell));
                port.bytes = bytes;
            }
        }
        self.forget();
    }

    /// Forgets who went away longest ago, where there are too many.
    fn forget(&mut self) {
        let mut absent: Vec<u64> =
            self.ports.values().map(|port| port.seen).filter(|&seen| seen < self.reads).collect();
        absent.sort_unstable();
        if let Some(&last) = absent.iter().rev().nth(MAX_ABSENT) {
            self.ports.retain(|_, port| port.seen > last);
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.ports.len()
    }

    /// Adds the families.
    pub(super) fn add(&self, out: &mut Families, tick: &Tick) {
        let none = Labels::none();
        out.add(&BUILD, &Labels::none().and("version", env!("CARGO_PKG_VERSION")), Some(1_u64));
        out.add(&READS, &none, Some(self.reads));
        out.add(&READ_SECONDS, &none, Some(self.took.as_secs_f64()));
        out.add(&LAST_READ, &none, Some(self.last.as_secs_f64()));
        #[expect(clippy::cast_precision_loss, reason = "microseconds until the year 2255")]
        let at = (tick.view.realtime_ns / 1_000_000) as f64 / 1e3;
        out.add(&LAST_READ_AT, &none, Some(at));
        out.add(&NOTICES, &none, Some(tick.view.notices.len() as u64));
        for ((device, number), port) in self.ports.iter().filter(|(_, port)| port.seen == self.reads) {
            let labels = ports::labels_of(device, *number);
            out.add(&ERRORS, &labels, Some(port.errors));
            out.add(&RESETS, &labels, Some(port.resets));
        }
    }
}
