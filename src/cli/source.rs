//! What several commands ask for: which devices, and from which source.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::Duration;

use crate::monitor::glob::{EmptyPattern, Glob};
use crate::monitor::model::view::{SourceKind, View};
use crate::units::parse_bit_rate;

/// `--source` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum SourceArg {
    /// Counter pages of railtop's transport: payload per PE and NIC
    Page,
    /// The RDMA devices' own counters in sysfs
    Sysfs,
    /// The RDMA devices' own counters over RDMA netlink: few system calls, and also inside containers
    Netlink,
    /// Network interfaces: those below a counter page's software NICs, and those of rxe and siw
    Netdev,
    /// All of them; for devices sysfs or netlink, whichever has what is shown and is cheaper
    #[default]
    Auto,
}

impl SourceArg {
    /// The one source that is asked for.
    pub(super) fn only(self) -> Option<SourceKind> {
        match self {
            Self::Page => Some(SourceKind::Page),
            Self::Sysfs => Some(SourceKind::Sysfs),
            Self::Netlink => Some(SourceKind::Netlink),
            Self::Netdev => Some(SourceKind::Netdev),
            Self::Auto => None,
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

/// Which NICs, by which source; the configuration file's where nothing is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, clap::Args)]
pub struct Selection {
    /// Only devices whose name matches: `mlx5_*`, `rdmap7?s0`
    #[arg(long, value_name = "GLOB")]
    pub device: Option<Glob>,

    /// Where numbers come from [default: auto]
    #[arg(long, value_enum, value_name = "NAME")]
    pub source: Option<SourceArg>,

    /// The line rate of devices whose name matches, where the driver tells it wrong: `rdmap*=200gbit`; repeatable,
    /// the first that matches counts
    #[arg(long = "line-rate", value_name = "GLOB=RATE")]
    pub line_rates: Vec<LineRate>,
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
        let glob: Glob = glob.parse().map_err(|e: EmptyPattern| e.to_string())?;
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
                super::exit::say(&format!("railtop: {}: {}", notice.subject, notice.text));
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
