//! What several commands ask for: which devices, and from which source.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use crate::monitor::glob::{EmptyPattern, Glob};
use crate::monitor::model::view::{Notice, SourceKind, View};
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

/// A notice that was away for less than this is no new one when it is back: what comes and goes from tick to tick
/// would else fill the screen.
const AWAY_NS: u64 = 10_000_000_000;
/// More notices than this are not remembered.
const MAX_TOLD: usize = 4096;

/// Which notices were told on stderr, and when each was there last: a log may run for days, and a reason that is
/// another one, or that is back, is news. Numbers in a text do not make it another one.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<(String, String), u64>);

impl Told {
    /// Tells what is new, unless there is nothing to show at all: then the reason for that says it.
    pub(super) fn tell(&mut self, view: &View) {
        for notice in self.news(view) {
            super::exit::say(&format!("railtop: {}: {}", notice.subject, notice.text));
        }
    }

    fn news<'a>(&mut self, view: &'a View) -> Vec<&'a Notice> {
        let now = view.mono_ns;
        let shown: Vec<&Notice> = view.notices.iter().filter(|_| view.nothing.is_none()).collect();
        self.0.retain(|_, last| now.saturating_sub(*last) <= AWAY_NS);
        if self.0.len() > MAX_TOLD {
            self.0.clear();
        }
        let mut is_new =
            |n: &&Notice| self.0.insert((n.subject.clone(), without_numbers(&n.text)), now).is_none();
        shown.into_iter().filter(|n| is_new(n)).collect()
    }
}

/// A text with `#` for each number in it.
fn without_numbers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut last = ' ';
    for c in text.chars() {
        let in_number = c.is_ascii_digit() || (matches!(c, '.' | ',') && last == '#');
        if !in_number {
            kept.push(c);
            last = c;
        } else if last != '#' {
            kept.push('#');
            last = '#';
        }
    }
    kept
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What is told of these notices, second by second.
    fn told(seconds: &[(u64, &[(&str, &str)])]) -> Vec<String> {
        let mut told = Told::default();
        let mut all = Vec::new();
        for (second, notices) in seconds {
            let notices = notices
                .iter()
                .map(|&(subject, text)| Notice { subject: subject.to_owned(), text: text.to_owned() });
            let view = View { mono_ns: second * 1_000_000_000, ..empty(notices.collect()) };
            all.extend(told.news(&view).iter().map(|n| format!("{second} {}: {}", n.subject, n.text)));
        }
        all
    }

    fn empty(notices: Vec<Notice>) -> View {
        View {
            realtime_ns: 0,
            mono_ns: 0,
            host: "h".to_owned(),
            interval: Duration::from_secs(1),
            max_over_mean: 1.25,
            groups: Vec::new(),
            notices,
            nothing: None,
            processes: None,
            gpus: None,
            events: Arc::new([]),
            fleet: None,
        }
    }

    #[test]
    fn a_reason_is_told_once_and_again_when_it_is_another_one_or_is_back() {
        let silent = ("mlx5_0", "gave nothing within 400 ms");
        let later = ("mlx5_0", "gave nothing within 1.4 ms");
        let gone = ("mlx5_0", "the device is gone");
        let other = ("mlx5_1", "the device is gone");
        let seen = told(&[
            (1, &[silent]),
            (2, &[later]),
            (3, &[gone]),
            (4, &[gone, other]),
            (5, &[silent]),
            (6, &[]),
            (30, &[gone]),
        ]);
        let expected = [
            "1 mlx5_0: gave nothing within 400 ms",
            "3 mlx5_0: the device is gone",
            "4 mlx5_1: the device is gone",
            "30 mlx5_0: the device is gone",
        ];
        assert_eq!(seen, expected);
    }
}
