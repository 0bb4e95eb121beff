//! Which moment the screen shows, and over how long its rates are averaged.

use std::sync::Arc;
use std::time::Duration;

use super::super::history::rates;
use super::super::tabs::Tab;
use super::{State, WINDOWS_S, step};
use crate::monitor::model::view::View;

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl State {
    /// Takes the newest view; while paused it goes into the history only.
    pub(super) fn take(&mut self, view: Arc<View>) {
        self.history.push(&view);
        self.silent = None;
        self.newest = Some(view);
    }

    pub(super) fn pause(&mut self) {
        self.paused = !self.paused;
        self.at = self.newest.as_ref().map_or(0, |view| view.mono_ns);
    }

    /// Goes `by` samples through time; going back pauses first.
    pub(super) fn step_time(&mut self, by: isize) {
        if !self.paused {
            if by > 0 {
                return;
            }
            self.pause();
        }
        self.at = self.history.step(self.at, by).unwrap_or(self.at);
    }

    /// Goes so far back in time, as far as there is any; pauses first.
    pub(super) fn go_back(&mut self, by: Duration) {
        if !self.paused {
            self.pause();
        }
        self.at = self.history.near(self.at.saturating_sub(nanoseconds(by))).unwrap_or(self.at);
    }

    /// Goes so far forth in time, up to the newest sample; nowhere while the newest is on the screen anyway.
    pub(super) fn go_forth(&mut self, by: Duration) {
        if self.paused {
            self.at = self.history.near(self.at.saturating_add(nanoseconds(by))).unwrap_or(self.at);
        }
    }

    pub(super) fn step_window(&mut self, by: isize) {
        if let Some(seconds) = step(&WINDOWS_S, self.window.as_secs(), by) {
            self.window = Duration::from_secs(seconds);
        }
        self.averages = true;
    }

    /// Finds the view to show.
    pub(super) fn find_moment(&mut self) {
        if !self.paused {
            self.moment.clone_from(&self.newest);
        } else if self.moment.as_ref().is_none_or(|moment| moment.mono_ns != self.at) {
            // A moment that is on the screen stays, even when the history has forgotten it meanwhile.
            self.moment = self.history.view_at(self.at).or(self.moment.take());
        }
        let Some(moment) = self.moment.clone() else { return };
        if self.tab == Tab::Events && !self.paused {
            self.events_seen = moment.events.last().map_or(self.events_seen, |event| event.mono_ns);
        }
        self.shown = Some(if self.averages {
            let point = |key: &_| self.history.average(key, moment.mono_ns, self.window);
            Arc::new(rates::with(&moment, point))
        } else {
            moment
        });
    }

    /// How much of the window of averages there is at the view on the screen, in whole seconds where it is more than
    /// one: less than the window after a start.
    pub(in super::super) fn averaged_over(&self) -> Option<Duration> {
        let begin = self.history.step(0, 0)?;
        let over = Duration::from_nanos(self.shown.as_ref()?.mono_ns.saturating_sub(begin)).min(self.window);
        Some(if over.as_secs() > 0 { Duration::from_secs(over.as_secs()) } else { over })
    }

    /// The limit between balanced and skewed under which the view on the screen was judged.
    pub(in super::super) fn limit(&self) -> f64 {
        self.shown.as_ref().map_or(crate::balance::DEFAULT_MAX_OVER_MEAN, |view| view.max_over_mean)
    }

    /// Time between the view on the screen and the newest, while paused.
    pub(in super::super) fn behind(&self) -> Option<Duration> {
        let (shown, newest) = (self.shown.as_ref()?, self.newest.as_ref()?);
        self.paused.then(|| Duration::from_nanos(newest.mono_ns.saturating_sub(shown.mono_ns)))
    }

    /// Up to when the graphs go, which is the newest point even when the screen stands at an older one.
    pub(in super::super) fn graph_end(&self) -> u64 {
        self.newest.as_ref().map_or(u64::MAX, |view| view.mono_ns)
    }
}
