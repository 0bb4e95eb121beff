//! Metrics for Prometheus and whatever reads its formats: the pipeline's view of one tick as families of metrics.
//!
//! ```text
//! Monitor ─> Tick ─> ports, pes, groups, own, compat: families ─> text ─> server (HTTP) or textfile
//! ```
//! [`Reader`] owns the monitor and decides when to read: scrapes share a read. Families and text are pure.

pub mod accept;
mod compat;
mod family;
mod groups;
mod own;
mod pes;
mod ports;
mod reader;
pub mod server;
pub mod text;
pub mod textfile;

pub use compat::Compat;
pub use family::{Families, Family, Kind, Labels, Meta, Value};
pub use reader::Reader;

use self::own::Tally;
use super::Tick;

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Most PEs that are exported.
    pub max_pes: usize,
    /// Whether every counter is exported under the kernel's own name.
    pub raw: bool,
    /// Under whose names the ports' numbers are exported once more.
    pub compat: Vec<Compat>,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_pes: 64, raw: true, compat: Vec::new() }
    }
}

/// The families of a tick, in the order of the page.
fn families(tick: &Tick, tally: &Tally, options: &Options) -> Families {
    let mut out = Families::default();
    ports::add(&mut out, tick, options);
    groups::add(&mut out, tick, options);
    pes::add(&mut out, tick, options);
    tally.add(&mut out, tick);
    for compat in &options.compat {
        compat.add(&mut out, tick);
    }
    out
}

#[cfg(test)]
mod tests;
