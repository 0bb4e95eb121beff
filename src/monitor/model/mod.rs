//! From the previous and the current sample to what is shown.
//!
//! [`track`] makes rates and decides when there is none, `rows` and `group` put NICs together, [`Model`] does all of
//! it for a tick.

mod group;
mod names;
mod pair;
mod processes;
mod rows;
pub mod track;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use self::rows::Rows;
use self::track::Tracks;
use self::view::{NicView, Notice, View};
use super::sample::Sample;

/// Remembers what the next tick's rates are made from.
#[derive(Debug, Default)]
pub struct Model {
    host: String,
    tracks: Tracks,
    rows: Rows,
}

/// What one sample amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// What screens show.
    pub view: View,
    /// For NICs of counter pages: the kernel's own row for the same NIC, with the key of the page's row.
    pub kernel_rows: Vec<NicView>,
}

impl Model {
    /// A model for the machine called `host`, which names the node of devices.
    #[must_use]
    pub fn new(host: String) -> Self {
        Self { host, ..Self::default() }
    }

    /// Takes the next sample. `interval` is what the time since the last one should be; much more is a gap.
    pub fn update(&mut self, sample: &Sample, interval: Duration) -> Derived {
        self.tracks.begin(interval);
        // A device that fails concerns everybody; a stray file among the counter pages can wait.
        let mut notices = Vec::new();
        let (groups, kernel_rows) = self.rows.make(sample, &self.host, &mut self.tracks, &mut notices);
        notices.sort();
        notices.extend(sample.notices.iter().cloned());
        notices.dedup();
        let nothing = groups.is_empty().then(|| sample.nothing.join("; "));
        let processes = sample.processes.as_ref().map(|p| processes::view(p, &groups));
        let view = View {
            realtime_ns: sample.realtime_ns,
            mono_ns: sample.mono_ns,
            host: self.host.clone(),
            interval,
            groups,
            notices,
            nothing,
            processes,
            gpus: None,
            events: Arc::new([]),
        };
        Derived { view, kernel_rows }
    }
}

/// A notice about `subject`.
fn notice(subject: &str, text: &str) -> Notice {
    Notice { subject: subject.to_owned(), text: text.to_owned() }
}
