//! From the previous and the current sample to what is shown.
//!
//! [`track`] makes rates and decides when there is none, `rows` and `group` put NICs together, [`Model`] does all of
//! it for a tick.

pub mod distribution;
mod events;
mod gpus;
pub(in crate::monitor) mod group;
mod idle_efa;
mod names;
mod pair;
mod processes;
pub mod remote;
mod rows;
pub mod track;
pub mod view;
mod windows;

use std::time::Duration;

use self::events::Events;
use self::gpus::GpuTracks;
use self::idle_efa::IdleEfa;
use self::rows::{Made, Rows};
use self::track::Tracks;
use self::view::{GroupView, NicView, Notice, View};
use self::windows::WindowHistory;
use super::sample::Sample;
use super::thresholds::Thresholds;

/// Remembers what the next tick's rates are made from.
#[derive(Debug, Default)]
pub struct Model {
    host: String,
    thresholds: Thresholds,
    tracks: Tracks,
    rows: Rows,
    events: Events,
    gpus: GpuTracks,
    idle_efa: IdleEfa,
    windows: WindowHistory,
}

/// What one sample amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// What screens show.
    pub view: View,
    /// For NICs of counter pages: the kernel's own row for the same NIC, with the key of the page's row.
    pub kernel_rows: Vec<NicView>,
    /// The groups that devices which a counter page shows, and which are in no group of `view` for that, would be in.
    pub covered: Vec<GroupView>,
}

impl Model {
    /// A model for the machine called `host`, which names the node of devices.
    #[must_use]
    pub fn new(host: String) -> Self {
        Self { host, ..Self::default() }
    }

    /// From now on events, verdicts and hints follow these; the defaults until then.
    pub fn set_thresholds(&mut self, thresholds: Thresholds) {
        self.thresholds = thresholds;
    }

    /// Takes the next sample. `interval` is what the time since the last one should be; much more is a gap.
    pub fn update(&mut self, sample: &Sample, interval: Duration) -> Derived {
        self.tracks.begin(interval);
        // A device that fails concerns everybody; a stray file among the counter pages can wait.
        let mut notices = Vec::new();
        let news = self.events.devices(sample);
        self.rows.rename(&sample.changes, &news.renamed);
        let Made { mut groups, kernel_rows, covered } =
            self.rows.make(sample, &self.host, self.thresholds.max_over_mean, &mut self.tracks, &mut notices);
        self.windows.update(&mut groups);
        let gpus = sample.gpus.as_ref().map(|gpus| self.gpus.update(gpus, interval));
        let rows = groups.iter().flat_map(|group| &group.nics).chain(&kernel_rows);
        notices.extend(self.idle_efa.update(sample.mono_ns, gpus.as_ref(), rows, &self.thresholds));
        notices.sort();
        notices.extend(sample.notices.iter().cloned());
        notices.dedup();
        let events = self.events.update(sample, news, &groups, &kernel_rows, &self.thresholds);
        let nothing = groups.is_empty().then(|| sample.nothing.join("; "));
        let processes = sample.processes.as_ref().map(|p| processes::view(p, &groups));
        let view = View {
            realtime_ns: sample.realtime_ns,
            mono_ns: sample.mono_ns,
            host: self.host.clone(),
            interval,
            max_over_mean: self.thresholds.max_over_mean,
            groups,
            notices,
            nothing,
            processes,
            gpus,
            events,
            fleet: None,
        };
        Derived { view, kernel_rows, covered }
    }
}

/// A notice about `subject`.
fn notice(subject: &str, text: &str) -> Notice {
    Notice { subject: subject.to_owned(), text: text.to_owned() }
}
