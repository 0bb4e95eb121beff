//! What came out of a run.

use std::time::Duration;

use super::nic::{Receiver, Sender};
use super::windows::Windows;
use crate::balance::{DEFAULT_MAX_OVER_MEAN, Direction, Spread};
use crate::transport::select::PolicyKind;
use crate::windows::{p99, ratios};

/// A run under one policy.
#[derive(Debug)]
pub struct Outcome {
    /// The policy.
    pub policy: PolicyKind,
    /// Rounds.
    pub iters: u32,
    /// Until everything had arrived, picoseconds.
    pub span_ps: u64,
    /// Puts over NICs.
    pub puts: u64,
    /// Events that it took.
    pub events: u64,
    pub(super) nics_per_pe: usize,
    pub(super) senders: Vec<Sender>,
    pub(super) receivers: Vec<Receiver>,
    pub(super) windows: Windows,
}

/// How evenly one direction was shared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balance {
    /// The worst PE's; `None` when nothing moved.
    pub worst: Option<Spread>,
    /// The 99th percentile over short windows of the PE that is worst in that.
    pub window_p99: Option<f64>,
}

/// What one NIC moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NicMoved {
    /// Payload bytes sent.
    pub tx_bytes: u64,
    /// Payload bytes received.
    pub rx_bytes: u64,
    /// Puts and parts of puts sent.
    pub tx_ops: u64,
    /// Puts and parts of puts received.
    pub rx_ops: u64,
}

impl Outcome {
    /// The mean time of a round in microseconds.
    #[must_use]
    pub fn latency_us(&self) -> f64 {
        self.span_ps as f64 / 1e6 / f64::from(self.iters.max(1))
    }

    /// The whole time.
    #[must_use]
    pub fn span(&self) -> Duration {
        Duration::from_nanos(self.span_ps / 1000)
    }

    /// Length of a short window.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_nanos(self.windows.window_ps() / 1000)
    }

    /// The most puts that were on the way to one NIC at a time: in an all-to-all the most senders that met there.
    #[must_use]
    pub fn most_at_once(&self) -> u32 {
        self.receivers.iter().map(|nic| nic.most_open).max().unwrap_or(0)
    }

    /// What the NICs of each PE moved, by rank.
    pub fn pes(&self) -> impl Iterator<Item = Vec<NicMoved>> {
        let moved = |(from, to): (&Sender, &Receiver)| NicMoved {
            tx_bytes: from.moved.bytes,
            rx_bytes: to.moved.bytes,
            tx_ops: from.moved.ops,
            rx_ops: to.moved.ops,
        };
        let each = self.nics_per_pe.max(1);
        let sides = self.senders.chunks(each).zip(self.receivers.chunks(each));
        sides.map(move |(from, to)| from.iter().zip(to).map(moved).collect())
    }

    /// How uneven the NICs of each PE were, by rank; `None` for one without traffic.
    pub fn spreads(&self, way: Direction) -> impl Iterator<Item = Option<Spread>> {
        self.pes().map(move |nics| {
            let of = |nic: &NicMoved| if way == Direction::Tx { nic.tx_bytes } else { nic.rx_bytes };
            let bytes: Vec<f64> = nics.iter().map(|nic| of(nic) as f64).collect();
            Some(Spread::of(&bytes, DEFAULT_MAX_OVER_MEAN)).filter(|spread| spread.max_over_mean.is_some())
        })
    }

    /// Balance of a direction.
    #[must_use]
    pub fn balance(&self, way: Direction) -> Balance {
        let ratio = |spread: &Spread| spread.max_over_mean.unwrap_or(0.0);
        let worst = self.spreads(way).flatten().reduce(|a, b| if ratio(&b) > ratio(&a) { b } else { a });
        let pes = self.senders.len() / self.nics_per_pe.max(1);
        let window_p99 = (0..pes).filter_map(|pe| p99(&self.window_ratios(way, pe))).max_by(f64::total_cmp);
        Balance { worst, window_p99 }
    }

    fn window_ratios(&self, way: Direction, pe: usize) -> Vec<f64> {
        let rows: Vec<&[u64]> =
            (0..self.nics_per_pe).map(|nic| self.windows.row(way, pe * self.nics_per_pe + nic)).collect();
        let windows = rows.first().map_or(0, |row| row.len());
        // Whole windows of the run: what follows it is no silence.
        let windows =
            windows.min(usize::try_from(self.span_ps / self.windows.window_ps()).unwrap_or(windows));
        let window = |at: usize| rows.iter().map(|row| row.get(at).copied().unwrap_or(0) as f64).collect();
        ratios(&(0..windows).map(window).collect::<Vec<Vec<f64>>>())
    }
}
