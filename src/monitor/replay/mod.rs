//! A recording run through the model again: [`Replayer`] tick by tick for logs and traces, [`ReplaySource`] for the screen.

mod control;
mod source;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use control::{ReplayCommand, ReplayHandle, ReplayStatus};
pub use source::ReplaySource;

use super::glob::Glob;
use super::model::view::SourceKind;
use super::model::{Derived, Model};
use super::record::{ReadError, Recording};
use super::sample::Sample;
use super::thresholds::Thresholds;

/// What the model must at least have seen before a tick so that it shows it as it did then: what has gone and the
/// comparison with the kernel need half a minute.
const WARM_UP: Duration = Duration::from_secs(35);
/// By how much more than the longest time of the thresholds: what began before is told before the tick, not at it.
const BEYOND_HOLD: Duration = Duration::from_secs(5);
/// Ticks before all that: the first has no rates, and where ticks are far apart a hold is over at the one after it.
const WITHOUT_RATES: usize = 2;
/// Never more ticks than this for a screen, so that a jump in a fast recording does not take seconds.
const WARM_UP_TICKS: usize = 400;

/// Only these NICs.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Devices that match.
    pub device: Option<Glob>,
    /// This source.
    pub source: Option<SourceKind>,
}

impl Filter {
    /// Takes away what a monitor with this filter would not have read.
    fn apply(&self, sample: &mut Sample) {
        if let Some(glob) = &self.device {
            sample.ports.retain(|port| glob.matches(&port.facts.device));
            for page in &mut sample.pages {
                page.nics.retain(|nic| {
                    glob.matches(&nic.device) || nic.netdev.as_deref().is_some_and(|n| glob.matches(n))
                });
            }
            sample.pages.retain(|page| !page.nics.is_empty());
        }
        // Who holds queue pairs, netlink alone tells.
        if self.source.is_some_and(|source| source != SourceKind::Netlink) {
            sample.processes = None;
        }
        match self.source {
            None => {}
            Some(SourceKind::Sysfs | SourceKind::Netlink) => {
                sample.ports.retain(|port| Some(port.source) == self.source);
                sample.pages.clear();
            }
            Some(SourceKind::Page | SourceKind::Netdev) => {
                // Devices without counters of their own are shown by their network interface.
                sample.ports.retain(|port| Some(port.source) == self.source);
                for nic in sample.pages.iter_mut().flat_map(|page| &mut page.nics) {
                    if self.source == Some(SourceKind::Page) {
                        nic.netdev_reading = None;
                    }
                }
            }
        }
        if sample.ports.is_empty() && sample.pages.is_empty() && sample.nothing.is_empty() {
            sample.nothing.push("nothing in this recording matches --device and --source".to_owned());
        }
    }
}

/// One tick of a recording as it was shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// What the model makes of it.
    pub derived: Derived,
    /// Ticks that were skipped before it.
    pub missed: u64,
    /// Position of the recorder's run in [`Recording::sessions`].
    pub session: usize,
}

/// Runs a recording through the model.
#[derive(Debug)]
pub struct Replayer {
    recording: Recording,
    filter: Filter,
    thresholds: Thresholds,
    model: Model,
    /// The tick that the model saw last.
    at: Option<usize>,
}

impl Replayer {
    /// At the beginning.
    #[must_use]
    pub fn new(recording: Recording, filter: Filter) -> Self {
        let (thresholds, model) = (Thresholds::default(), Model::default());
        Self { recording, filter, thresholds, model, at: None }
    }

    /// The same with these limits for verdicts and events, whatever they were when it was recorded.
    #[must_use]
    pub fn with_thresholds(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    /// The recording.
    #[must_use]
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The tick after the last one; `None` at the end.
    pub fn advance(&mut self) -> Option<Result<Replayed, ReadError>> {
        let next = self.at.map_or(0, |at| at + 1);
        (next < self.recording.len()).then(|| self.update(next))
    }

    /// Any tick, for a log; cheap when it is the next one. Else as much before it as the thresholds look back is run
    /// through a fresh model, so that nothing is told at or after it that the whole recording does not tell.
    ///
    /// # Errors
    /// When the recording cannot be read.
    pub fn go(&mut self, tick: usize) -> Result<Replayed, ReadError> {
        if tick != self.at.map_or(0, |at| at + 1) {
            self.at = None;
            for before in self.warm_up(tick, usize::MAX)..tick {
                if let Err(error) = self.update(before) {
                    self.at = Some(tick);
                    return Err(error);
                }
            }
        }
        self.update(tick)
    }

    /// Goes to any tick, for a screen: what came shortly before it is run through a fresh model, but not more ticks than
    /// nobody waits for. The last is the tick itself, the others are the ticks before it, for a history.
    ///
    /// # Errors
    /// When the recording cannot be read.
    pub fn jump(&mut self, tick: usize) -> Result<Vec<Replayed>, ReadError> {
        let tick = tick.min(self.recording.len() - 1);
        let first = self.warm_up(tick, WARM_UP_TICKS);
        self.at = None;
        let all = (first..=tick).map(|at| self.update(at)).collect();
        self.at = Some(tick);
        all
    }

    /// Where a fresh model must begin to know at `tick` what it would have known; at most `most` ticks before it.
    fn warm_up(&self, tick: usize, most: usize) -> usize {
        let now = self.recording.realtime_ns(tick);
        let session = self.recording.session_of(tick);
        let time = self.thresholds.longest().saturating_add(BEYOND_HOLD).max(WARM_UP).as_nanos();
        let long_ago =
            |at: usize| u128::try_from(now - self.recording.realtime_ns(at)).is_ok_and(|ns| ns > time);
        let (mut first, mut more) = (tick, WITHOUT_RATES);
        while first > 0 && tick - first < most && self.recording.session_of(first - 1) == session {
            if long_ago(first) {
                if more == 0 {
                    break;
                }
                more -= 1;
            }
            first -= 1;
        }
        first
    }

    /// The model's next tick; a fresh model where another run of the recorder begins.
    fn update(&mut self, tick: usize) -> Result<Replayed, ReadError> {
        let session = self.recording.session_of(tick);
        let same = self.at.is_some_and(|at| self.recording.session_of(at) == session);
        self.at = Some(tick);
        if !same {
            let host = self.recording.sessions().get(session).map(|s| s.log.host.clone());
            self.model = Model::new(host.unwrap_or_default());
            self.model.set_thresholds(self.thresholds);
        }
        let mut read = self.recording.read(tick)?;
        self.filter.apply(&mut read.sample);
        let derived = self.model.update(&read.sample, Duration::from_nanos(read.interval_ns));
        Ok(Replayed { derived, missed: read.missed, session })
    }
}
