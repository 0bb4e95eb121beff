//! From the caller's options, already copied out of C, to what a sampler needs.

use std::path::PathBuf;
use std::time::Duration;

use railtop::monitor::glob::{EmptyPattern, Glob};
use railtop::monitor::model::view::SourceKind;
use railtop::monitor::{Config, Thresholds, host};

use crate::error::Error;

/// Where sysfs lies when the caller does not say it; the command line's `--sysfs-root` has the same.
const ROOT_VARIABLE: &str = "RAILTOP_SYSFS_ROOT";
const DEFAULT_INTERVAL: Duration = Duration::from_millis(100);
/// As on the command line: the kernel itself keeps EFA's counters for 10 ms.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));
const DEFAULT_CAPACITY: usize = 1_000_000;

/// What the caller said, 0 and `None` where nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) sysfs_root: Option<String>,
    pub(crate) devices: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) interval_ns: u64,
    pub(crate) capacity: u64,
}

impl Asked {
    /// The monitor's configuration, and the most samples to keep.
    pub(crate) fn resolve(&self) -> Result<(Config, usize), Error> {
        let root = self.sysfs_root.clone().map(PathBuf::from);
        let root =
            root.or_else(|| std::env::var_os(ROOT_VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from));
        let device = self.devices.as_deref().map(str::parse::<Glob>).transpose();
        let device = device.map_err(|e: EmptyPattern| Error::Argument(format!("devices: {e}")))?;
        let config = Config {
            sysfs_root: root.unwrap_or_else(|| PathBuf::from("/sys")),
            page_dir: None,
            host: host::name(),
            device,
            source: self.source()?,
            interval: self.interval()?,
            line_rates: Vec::new(),
            thresholds: Thresholds::default(),
        };
        let capacity = match self.capacity {
            0 => DEFAULT_CAPACITY,
            asked => usize::try_from(asked).unwrap_or(usize::MAX),
        };
        Ok((config, capacity))
    }

    fn source(&self) -> Result<Option<SourceKind>, Error> {
        match self.source.as_deref() {
            None | Some("auto") => Ok(None),
            Some("page") => Ok(Some(SourceKind::Page)),
            Some("sysfs") => Ok(Some(SourceKind::Sysfs)),
            Some("netlink") => Ok(Some(SourceKind::Netlink)),
            Some("netdev") => Ok(Some(SourceKind::Netdev)),
            Some(other) => Err(Error::Argument(format!(
                "source: \"{}\" is none of page, sysfs, netlink, netdev and auto",
                railtop::text::printable(other)
            ))),
        }
    }

    fn interval(&self) -> Result<Duration, Error> {
        let interval = match self.interval_ns {
            0 => DEFAULT_INTERVAL,
            ns => Duration::from_nanos(ns),
        };
        if interval < INTERVALS.0 || interval > INTERVALS.1 {
            return Err(Error::Argument(format!(
                "interval_ns: {} is not between 10 ms (10000000) and 1 h (3600000000000)",
                self.interval_ns
            )));
        }
        Ok(interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test]
    fn nothing_said_is_everything_ten_times_a_second() {
        let (config, capacity) = Asked::default().resolve().unwrap();
        assert_eq!((config.interval, config.device, config.source), (Duration::from_millis(100), None, None));
        assert_eq!(capacity, 1_000_000);
    }

    #[test_case(&Asked { interval_ns: 9_999_999, ..Asked::default() }, "interval_ns: 9999999 is not between"; "too short")]
    #[test_case(&Asked { interval_ns: u64::MAX, ..Asked::default() }, "interval_ns"; "too long")]
    #[test_case(&Asked { devices: Some("a,,b".into()), ..Asked::default() }, "devices: an empty pattern"; "no pattern")]
    #[test_case(&Asked { source: Some("sys\x1bfs".into()), ..Asked::default() }, "\"sys\u{fffd}fs\" is none of"; "no source")]
    fn what_makes_no_sense_is_said(asked: &Asked, message: &str) {
        let error = asked.resolve().unwrap_err();
        assert_eq!(error.code(), 1);
        assert!(error.to_string().contains(message), "{error}");
    }
}
