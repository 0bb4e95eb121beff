//! What several commands ask for: which devices, and from which source.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::Duration;

use super::GlobalArgs;
use crate::monitor::glob::Glob;
use crate::monitor::model::view::{SourceKind, View};
use crate::monitor::{Config, host};
use crate::units::parse_bit_rate;

/// `--source` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SourceArg {
    /// Counter pages of railtop's transport: payload per PE and NIC
    Page,
    /// The RDMA devices' own counters in sysfs
    Sysfs,
    /// The network interfaces below a counter page's software NICs
    Netdev,
}

impl From<SourceArg> for SourceKind {
    fn from(arg: SourceArg) -> Self {
        match arg {
            SourceArg::Page => Self::Page,
            SourceArg::Sysfs => Self::Sysfs,
            SourceArg::Netdev => Self::Netdev,
        }
    }
}

/// `--format` of commands that answer once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum TextOrJson {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Which NICs, by which source.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Selection {
    /// Only devices whose name matches: `mlx5_*`, `rdmap7?s0`
    #[arg(long, value_name = "GLOB")]
    pub device: Option<Glob>,

    /// Only this source of numbers
    #[arg(long, value_name = "NAME")]
    pub source: Option<SourceArg>,

    /// The line rate of devices whose name matches, where the driver tells it wrong: `rdmap*=200gbit`; repeatable,
    /// the first that matches counts
    #[arg(long = "line-rate", value_name = "GLOB=RATE")]
    pub line_rates: Vec<LineRate>,
}

impl Selection {
    /// What the monitor needs to know.
    #[must_use]
    pub fn config(&self, global: &GlobalArgs, interval: Duration) -> Config {
        Config {
            sysfs_root: global.sysfs_root.clone(),
            page_dir: None,
            host: host::name(),
            device: self.device.clone(),
            source: self.source.map(Into::into),
            interval,
            line_rates: self.line_rates.iter().map(|l| (l.glob.clone(), l.bits_per_s)).collect(),
        }
    }
}

/// A device's line rate as told on the command line: `rdmap*=200gbit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRate {
    /// Which devices.
    pub glob: Glob,
    /// Bits per second.
    pub bits_per_s: u64,
}

impl FromStr for LineRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (glob, rate) = text.split_once('=').ok_or("GLOB=RATE is wanted, such as rdmap*=200gbit")?;
        let glob = glob.parse().map_err(|e| format!("{e}"))?;
        let bits_per_s = parse_bit_rate(rate).map_err(|e| e.to_string())?;
        Ok(Self { glob, bits_per_s })
    }
}

/// Which notices were told on stderr: each subject once, since the text of some changes from tick to tick.
#[derive(Debug, Default)]
pub(super) struct Told(HashSet<String>);

impl Told {
    /// Tells what is new, unless there is nothing to show at all: then the reason for that says it.
    pub(super) fn tell(&mut self, view: &View) {
        for notice in view.notices.iter().filter(|_| view.nothing.is_none()) {
            if self.0.insert(notice.subject.clone()) {
                eprintln!("railtop: {}: {}", notice.subject, notice.text);
            }
        }
    }
}

/// An interval from the command line, within what makes sense.
///
/// # Errors
/// When it is no duration, or below 10 ms (the kernel itself keeps EFA's counters that long) or above an hour.
pub fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = crate::units::parse_duration(text).map_err(|e| e.to_string())?;
    if interval < Duration::from_millis(10) || interval > Duration::from_secs(3600) {
        return Err("an interval is at least 10ms and at most 1h".to_owned());
    }
    Ok(interval)
}
