//! What the server counts, on whichever thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::monitor::export::family::{Families, Labels, Meta, counter, gauge};

const REQUESTS: Meta =
    counter("railtop_http_requests", "Requests that were answered, by the code of the answer.");
const CONNECTIONS: Meta = gauge("railtop_http_connections", "Connections that are open.");
const EVICTED: Meta = counter(
    "railtop_http_connections_evicted",
    "Connections that idled and were closed since a new one found no room.",
);

/// The answers there are.
const CODES: [u16; 5] = [200, 401, 404, 405, 503];

/// The counters.
#[derive(Debug, Default)]
pub struct Stats {
    requests: [AtomicU64; CODES.len()],
    open: AtomicUsize,
    evicted: AtomicU64,
}

impl Stats {
    pub(super) fn answered(&self, code: u16) {
        let counters = CODES.iter().zip(&self.requests);
        if let Some((_, counter)) = counters.into_iter().find(|(known, _)| **known == code) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn set_open(&self, connections: usize) {
        self.open.store(connections, Ordering::Relaxed);
    }

    pub(super) fn evicted(&self) {
        self.evicted.fetch_add(1, Ordering::Relaxed);
    }

    /// How many connections had to give way.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Adds the families.
    pub fn add(&self, out: &mut Families) {
        for (code, counter) in CODES.iter().zip(&self.requests) {
            let labels = Labels::none().and("code", &code.to_string());
            out.add(&REQUESTS, &labels, Some(counter.load(Ordering::Relaxed)));
        }
        out.add(&CONNECTIONS, &Labels::none(), Some(self.open.load(Ordering::Relaxed) as u64));
        out.add(&EVICTED, &Labels::none(), Some(self.evictions()));
    }
}
