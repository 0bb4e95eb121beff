//! From when on something is worth a word: limits and how long they must be passed. One place for all defaults.

use std::time::Duration;

use crate::balance::{BUSY_BYTES_PER_S, DEFAULT_MAX_OVER_MEAN};

/// What decides about events and hints. `docs/events.md` says for each kind of event which of these it follows.
///
/// Nobody publishes limits for losses of EFA or RoCE; so any loss that lasts is told, and how much is too much is for
/// the reader to decide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// The busiest NIC over the mean of its group that still counts as balanced; 1.25, as for `railtop check`.
    pub max_over_mean: f64,
    /// A group that moves less in a direction, in bytes per second, is neither balanced nor not; 1 MB/s.
    pub busy_bytes_per_s: f64,
    /// How long a group must be skewed (or balanced again) before that is told; 5 s.
    pub imbalance_hold: Duration,
    /// More drops, retransmits or timeouts per second than this are a loss; 0, so that any is.
    pub loss_per_s: f64,
    /// This many per second are told at once, without waiting for `loss_hold`; 100.
    pub loss_burst_per_s: f64,
    /// How long smaller losses must go on before they are told; 3 s.
    pub loss_hold: Duration,
    /// How long there must be no loss before it is said to have ended; 10 s.
    pub loss_quiet: Duration,
    /// How long a device must not have answered before that is told; 2 s.
    pub silent_after: Duration,
    /// How long a NIC of a PE that had failed must be used again before that is told; 3 s.
    pub nic_used_hold: Duration,
    /// How long GPUs must be busy while EFA moves nothing before that is noticed; 30 s.
    pub idle_efa_after: Duration,
    /// From this utilisation on a GPU is busy, in per cent; 50.
    pub gpu_busy_percent: u32,
}

impl Thresholds {
    /// The longest of the times: what is older decides about nothing that begins now.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let Self {
            imbalance_hold, loss_hold, loss_quiet, silent_after, nic_used_hold, idle_efa_after, ..
        } = *self;
        [imbalance_hold, loss_hold, loss_quiet, silent_after, nic_used_hold, idle_efa_after]
            .into_iter()
            .fold(Duration::ZERO, Duration::max)
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            max_over_mean: DEFAULT_MAX_OVER_MEAN,
            busy_bytes_per_s: BUSY_BYTES_PER_S,
            imbalance_hold: Duration::from_secs(5),
            loss_per_s: 0.0,
            loss_burst_per_s: 100.0,
            loss_hold: Duration::from_secs(3),
            loss_quiet: Duration::from_secs(10),
            silent_after: Duration::from_secs(2),
            nic_used_hold: Duration::from_secs(3),
            idle_efa_after: Duration::from_secs(30),
            gpu_busy_percent: 50,
        }
    }
}
