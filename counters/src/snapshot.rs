//! What one read of a page gives.

use std::time::Duration;

use super::{
    counts::{NicCounts, PeCounts},
    fields::ExtraField,
    identity::{PageState, RxSource},
};

/// A writer that lives but has not published for this long is shown as stalled. Writers publish at
/// least once a second, also when idle.
pub const STALL_AFTER: Duration = Duration::from_secs(3);

/// Whether the writer lives, as the kernel and the heartbeat say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It holds the lock and publishes.
    Live,
    /// It holds the lock but has not published for `age`: stopped, swapped out, or stuck.
    Stalled {
        /// Time since the last heartbeat.
        age: Duration,
    },
    /// It is gone without a good-bye; the values are its last ones.
    Dead,
    /// It ended well; the values are final.
    Closed,
}

/// One NIC at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicSnapshot {
    /// Totals since the writer's start, its threads added up; 0 where the page is without a field.
    pub counts: NicCounts,
    /// Which of [`NicCounts::FIELDS`] the page has: those of a later minor version than the writer's are missing, not 0, and so are those that
    /// it does not count.
    pub there: [bool; NicCounts::LEN],
    /// Fields this program does not know, from a newer writer.
    pub extras: Vec<ExtraField>,
    /// When the values were published (`CLOCK_MONOTONIC`), the latest of the threads; 0 if never.
    pub published_ns: u64,
    /// The writer was always busy writing, or died while it did: every value is right by itself, but
    /// they may belong to different updates. `tx_done_*` never exceeds `tx_posted_*` even then.
    pub torn: bool,
}

/// A page at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSnapshot {
    /// When this was read (`CLOCK_MONOTONIC`): the time to compute rates with. `published_ns` stands
    /// still while a writer has nothing to publish.
    pub read_ns: u64,
    /// Where the PE is in its life, in its own words.
    pub state: PageState,
    /// Whether it lives.
    pub liveness: Liveness,
    /// When the writer published last, anywhere in the page (`CLOCK_MONOTONIC`).
    pub heartbeat_ns: u64,
    /// NIC selection policy in use.
    pub policy: String,
    /// How often the policy was set since the start.
    pub policy_epoch: u64,
    /// How Rx bytes are known; with [`RxSource::None`], `rx_bytes` is to be shown as missing.
    pub rx_source: RxSource,
    /// The PE's NICs, in the order of [`super::PageIdentity::nics`].
    pub nics: Vec<NicSnapshot>,
    /// Process-wide counters; 0 where the page is without a field.
    pub process: PeCounts,
    /// As [`NicSnapshot::there`], of [`PeCounts::FIELDS`].
    pub process_there: [bool; PeCounts::LEN],
    /// Process-wide fields this program does not know, from a newer writer.
    pub process_extras: Vec<ExtraField>,
    /// As [`NicSnapshot::torn`], for state, policy and process-wide counters.
    pub process_torn: bool,
}
