//! The monitor: sources read raw samples, the model derives rates and balance, screens and logs show them.
//!
//! Knows [`crate::counters`] and never [`crate::transport`].
//!
//! ```text
//! source/devices: sysfs, netlink  ──┐
//! source/pages                      ├─> sample::Sample ─> model::Model ─> model::view::View ─> tui, log, check
//! source/netdev                    ─┘
//! ```
//! [`Monitor`] is that pipeline, one tick at a time, on the caller's thread (`log`, `check`).
//! [`Sampler`] runs a [`Monitor`] on a thread of its own, for a screen.

pub mod check;
pub mod clock;
pub mod counter;
pub mod export;
pub mod failover;
pub mod fleet;
pub mod glob;
pub mod host;
pub mod list;
pub mod log;
pub mod model;
pub(crate) mod moment;
pub(crate) mod natural;
mod newest;
pub mod perfetto;
mod pipeline;
pub mod record;
pub mod replay;
pub mod sample;
mod sampler;
pub mod source;
pub mod table;
mod thresholds;
mod ticker;
pub mod tui;

pub use pipeline::{Config, Monitor, Tick};
pub use sampler::Sampler;
pub use thresholds::Thresholds;
pub use ticker::Ticker;
