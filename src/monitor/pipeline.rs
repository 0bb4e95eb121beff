//! Sources, model and clocks put together: one call, one tick.

use std::path::PathBuf;
use std::time::Duration;

use super::clock;
use super::glob::Glob;
use super::model::view::SourceKind;
use super::model::{Derived, Model};
use super::sample::{Needs, Sample};
use super::source::netdev::NetdevSource;
use super::source::pages::PageSource;
use super::source::sysfs::SysfsSource;

/// How long devices are waited for: the interval, but within these bounds. Generous, because it is paid once: a
/// device that is late is not waited for again until it has answered.
const DEADLINES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(1));

/// What to monitor.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where sysfs lies, `/sys` on most machines.
    pub sysfs_root: PathBuf,
    /// Where counter pages lie; `None` = where the transport puts them ([`crate::counters::PageDir::scan_all`]).
    pub page_dir: Option<PathBuf>,
    /// The name this machine goes by.
    pub host: String,
    /// Only devices that match.
    pub device: Option<Glob>,
    /// Only this source.
    pub source: Option<SourceKind>,
    /// Nominal time between ticks.
    pub interval: Duration,
    /// Line rates in bits per second to take for devices that match, whatever the kernel says; the first counts.
    pub line_rates: Vec<(Glob, u64)>,
}

/// One tick's result.
pub type Tick = Derived;

/// The pipeline from counters to views. Runs on the caller's thread; devices are read on threads of their own.
#[derive(Debug)]
pub struct Monitor {
    config: Config,
    pages: Option<PageSource>,
    netdev: Option<NetdevSource>,
    sysfs: Option<SysfsSource>,
    needs: Needs,
    model: Model,
}

impl Monitor {
    /// Opens nothing yet: what is missing is said by the first tick.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let wants = |kinds: &[SourceKind]| config.source.is_none_or(|s| kinds.contains(&s));
        let sysfs = wants(&[SourceKind::Sysfs]).then(|| {
            SysfsSource::new(config.sysfs_root.clone(), config.device.clone(), config.line_rates.clone())
        });
        let pages = wants(&[SourceKind::Page, SourceKind::Netdev])
            .then(|| PageSource::new(config.page_dir.clone(), config.device.clone()));
        let netdev = wants(&[SourceKind::Netdev]).then(|| NetdevSource::new(PathBuf::from("/proc")));
        let model = Model::new(config.host.clone());
        Self { config, pages, netdev, sysfs, needs: Needs::everything(), model }
    }

    /// Reads everything once and derives the view. Takes as long as the slowest device, up to a deadline.
    pub fn tick(&mut self) -> Tick {
        let sample = self.sample();
        self.model.update(&sample, self.config.interval)
    }

    /// Reads everything once.
    pub fn sample(&mut self) -> Sample {
        let mut sample =
            Sample { realtime_ns: clock::realtime_ns(), mono_ns: clock::mono_ns(), ..Sample::default() };
        let deadline = self.config.interval.clamp(DEADLINES.0, DEADLINES.1);
        if let Some(pages) = &mut self.pages {
            let mut found = pages.read();
            if let Some(netdev) = &mut self.netdev {
                netdev.read(&mut found.pages);
            }
            sample.pages = found.pages.into_iter().map(|p| p.sample).collect();
            sample.notices.extend(found.notices);
            sample.nothing.extend(found.nothing);
        }
        if let Some(sysfs) = &mut self.sysfs {
            let devices = sysfs.read(deadline);
            sample.ports = devices.ports;
            sample.notices.splice(..0, devices.notice);
            // Why there is no device comes first: most who see the sentence have no page either.
            sample.nothing.splice(..0, devices.nothing);
        }
        sample
    }

    /// The nominal time between ticks, which decides what counts as a gap.
    pub fn set_interval(&mut self, interval: Duration) {
        self.config.interval = interval;
    }

    /// From now on only this is read. All of it ([`Needs::everything`]) unless told otherwise.
    pub fn set_needs(&mut self, needs: Needs) {
        self.needs = needs;
        if let Some(sysfs) = &mut self.sysfs {
            sysfs.set_needs(needs);
        }
    }

    /// What is monitored.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}
