//! The same numbers once more under the names of other exporters, so that dashboards and alerts made for those go on.

mod amazonefa;
mod infiniband;

use super::family::Families;
use crate::monitor::Tick;

/// Whose names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Compat {
    /// `node_exporter`'s infiniband collector; EFA's bytes and packets included, which it lacks
    NodeInfiniband,
    /// AWS's EFA exporter (Grafana dashboards 20579 and 23514)
    NodeAmazonefa,
}

impl Compat {
    pub(super) fn add(self, out: &mut Families, tick: &Tick) {
        match self {
            Self::NodeInfiniband => infiniband::add(out, tick),
            Self::NodeAmazonefa => amazonefa::add(out, tick),
        }
    }
}
