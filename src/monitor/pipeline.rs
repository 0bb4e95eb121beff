//! Sources, model and clocks put together: one call, one tick.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::clock;
use super::glob::Glob;
use super::model::view::{Notice, SourceKind};
use super::model::{Derived, Model};
use super::sample::{Needs, PageState, Processes, Sample};
use super::source::devices::{self, Choice, DeviceSource};
use super::source::gpus::GpuSource;
use super::source::netdev::NetdevSource;
use super::source::pages::PageSource;
use super::source::processes::ProcessSource;
use super::source::sysfs::SysfsSource;
use super::table;
use super::thresholds::Thresholds;

/// How long devices are waited for: the interval, but within these bounds. Generous, because it is paid once: a
/// device that is late is not waited for again until it has answered.
const DEADLINES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(1));
/// How long the first look for a screen waits: it shall have something to show within a tenth of a second of its start,
/// whatever one of the devices does. That is many times what 32 of them take that are well.
const FIRST_DEADLINE: Duration = Duration::from_millis(50);

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
    /// What counts as an event.
    pub thresholds: Thresholds,
}

/// One tick's result.
pub type Tick = Derived;

/// The pipeline from counters to views. Runs on the caller's thread; devices are read on threads of their own.
#[derive(Debug)]
pub struct Monitor {
    config: Config,
    pages: Option<PageSource>,
    netdev: Option<NetdevSource>,
    devices: Option<DeviceSource>,
    processes: Option<ProcessSource>,
    /// Made when GPUs are first asked for.
    gpus: Option<GpuSource>,
    gpu_patience: Duration,
    needs: Needs,
    model: Model,
}

impl Monitor {
    /// Opens nothing and starts no thread yet: what is missing is said by the first tick. The environment is read here (where
    /// counter pages lie), and never by a tick.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let wants = |kinds: &[SourceKind]| config.source.is_none_or(|s| kinds.contains(&s));
        let choice = match config.source {
            None => Choice::Auto,
            Some(SourceKind::Netlink) => Choice::Netlink,
            Some(_) => Choice::Sysfs,
        };
        let devices = wants(&[SourceKind::Sysfs, SourceKind::Netlink, SourceKind::Netdev]).then(|| {
            let (root, device) = (config.sysfs_root.clone(), config.device.clone());
            DeviceSource::new(
                choice,
                SysfsSource::new(root, device.clone(), config.line_rates.clone()),
                device,
            )
        });
        let pages = wants(&[SourceKind::Page, SourceKind::Netdev])
            .then(|| PageSource::new(config.page_dir.clone(), config.device.clone()));
        let netdev = wants(&[SourceKind::Netdev]).then(|| NetdevSource::new(PathBuf::from("/proc")));
        let processes = wants(&[SourceKind::Netlink]).then(ProcessSource::default);
        let mut model = Model::new(config.host.clone());
        model.set_thresholds(config.thresholds);
        Self {
            config,
            pages,
            netdev,
            devices,
            processes,
            gpus: None,
            gpu_patience: Duration::ZERO,
            needs: Needs::everything(),
            model,
        }
    }

    /// Reads everything once and derives the view. Takes as long as the slowest device, up to a deadline.
    pub fn tick(&mut self) -> Tick {
        let sample = self.sample();
        self.model.update(&sample, self.config.interval)
    }

    /// Derives the view of a sample that was read apart, as a recording needs it.
    pub fn derive(&mut self, sample: &Sample) -> Tick {
        self.model.update(sample, self.config.interval)
    }

    /// Reads everything once.
    pub fn sample(&mut self) -> Sample {
        self.sample_within(self.config.interval.clamp(DEADLINES.0, DEADLINES.1))
    }

    /// Reads everything once without waiting for who is slow; the next sample has that.
    pub fn quick_sample(&mut self) -> Sample {
        self.sample_within(FIRST_DEADLINE)
    }

    fn sample_within(&mut self, deadline: Duration) -> Sample {
        let mut sample =
            Sample { realtime_ns: clock::realtime_ns(), mono_ns: clock::mono_ns(), ..Sample::default() };
        let begun = Instant::now();
        let mut writers = BTreeMap::new();
        if self.needs.gpus {
            self.gpus.get_or_insert_with(GpuSource::nvml).ask(Instant::now());
        }
        if let Some(pages) = &mut self.pages {
            if let Err(e) = pages.set_windows(self.needs.windows) {
                let text = format!("cannot start a thread to look at short windows: {e}");
                sample.notices.push(Notice { subject: "counter pages".to_owned(), text });
            }
            let mut found = pages.read(self.config.interval);
            if let Some(netdev) = &mut self.netdev {
                netdev.read(&mut found.pages);
            }
            let lives = |s: PageState| matches!(s, PageState::Alive | PageState::Stalled);
            let living = found.pages.iter().filter(|p| lives(p.sample.state));
            writers.extend(living.filter_map(|p| Some((p.sample.key.clone(), p.own_pid?))));
            sample.pages = found.pages.into_iter().map(|p| p.sample).collect();
            sample.notices.extend(found.notices);
            sample.nothing.extend(found.nothing);
        }
        if let Some(devices) = &mut self.devices {
            let (interval, needs) = (self.config.interval, self.needs);
            let read = devices.read(devices::Tick { deadline, interval, needs });
            sample.ports = read.ports;
            if self.config.source == Some(SourceKind::Netdev) && !sample.ports.is_empty() {
                // Of a hardware driver's device the interface says nothing.
                sample.ports.retain(|p| table::of(p.facts.driver.as_deref()).software);
                let none = "no RDMA device here sends through a network interface, as rxe and siw do";
                sample.nothing.extend(sample.ports.is_empty().then(|| none.to_owned()));
            }
            sample.changes = read.changes;
            sample.notices.splice(..0, read.notices);
            // Why there is no device comes first: most who see the sentence have no page either.
            sample.nothing.splice(..0, read.nothing);
        }
        if let Some(processes) = &mut self.processes {
            if self.needs.processes {
                let asked = self.devices.as_ref().map_or(Ok(()), DeviceSource::can_ask_kernel);
                let read = match asked {
                    Ok(()) => processes.read(begun + deadline),
                    Err(reason) => ProcessSource::unknown(reason),
                };
                sample.processes = Some(Processes { pages: writers, ..read });
            } else {
                processes.forget();
            }
        }
        if let Some(gpus) = self.gpus.as_mut().filter(|_| self.needs.gpus) {
            sample.gpus = Some(gpus.take(Instant::now(), self.gpu_patience));
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
    }

    /// How long a tick waits for the GPUs; not at all unless told otherwise, so that they come with the tick after.
    pub fn set_gpu_patience(&mut self, patience: Duration) {
        self.gpu_patience = patience;
    }

    /// What is monitored.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}
