//! The time cursor: what the screen may ask of a replay, and what it shows of it.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a person asks of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayCommand {
    /// Plays, or stops playing.
    Toggle,
    /// So many ticks forth, or back.
    Step(isize),
    /// So many seconds forth, or back.
    Seconds(i32),
    /// To the first tick.
    Home,
    /// To the last tick.
    End,
    /// Plays faster.
    Faster,
    /// Plays slower.
    Slower,
}

/// Where a replay stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayStatus {
    /// The tick on the screen, from 0.
    pub position: usize,
    /// Ticks in all.
    pub length: usize,
    /// Wall clock of the tick, nanoseconds since 1970.
    pub realtime_ns: i128,
    /// How many seconds of the recording pass in one.
    pub speed: f64,
    /// Whether it plays.
    pub playing: bool,
    /// Why a tick could not be read.
    pub error: Option<String>,
}

/// Speeds to choose from.
const SPEEDS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0];

/// What the screen and the replay's thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) status: ReplayStatus,
    /// The tick that was asked for and is not on the screen yet.
    pub(super) wanted: Option<usize>,
    /// When each tick was: seconds are not ticks.
    pub(super) times: Arc<[i64]>,
    /// What is shown of it.
    pub(super) range: Range<usize>,
    pub(super) ended: bool,
}

/// Steers a replay from any thread; cheap to clone, never waits for a file.
#[derive(Debug, Clone)]
pub struct ReplayHandle(pub(super) Arc<(Mutex<Shared>, Condvar)>);

impl ReplayHandle {
    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a command, but not longer than this.
    pub(super) fn wait<'a>(&self, shared: MutexGuard<'a, Shared>, time: Duration) -> MutexGuard<'a, Shared> {
        self.0.1.wait_timeout(shared, time).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.0.1.notify_all();
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> ReplayStatus {
        self.lock().status.clone()
    }

    /// Does what a key asks for.
    pub fn command(&self, command: ReplayCommand) {
        self.lock().command(command);
        self.0.1.notify_all();
    }
}

impl Shared {
    pub(super) fn command(&mut self, command: ReplayCommand) {
        let (first, last) = (self.range.start, self.last());
        // Keys add up, also while a jump is under way.
        let from = self.wanted.unwrap_or(self.status.position);
        let status = &mut self.status;
        match command {
            // At the end there is nothing to play but all of it again.
            ReplayCommand::Toggle if from == last && !status.playing => {
                self.wanted = Some(first);
                status.playing = true;
            }
            ReplayCommand::Toggle => status.playing = !status.playing,
            ReplayCommand::Step(by) => {
                self.wanted = Some(from.saturating_add_signed(by).clamp(first, last));
                // A step is for looking at one tick.
                status.playing = false;
            }
            ReplayCommand::Seconds(by) => self.wanted = Some(self.after(from, by).clamp(first, last)),
            ReplayCommand::Home => self.wanted = Some(first),
            ReplayCommand::End => self.wanted = Some(last),
            ReplayCommand::Faster => {
                let faster = SPEEDS.into_iter().find(|&speed| speed > status.speed);
                status.speed = faster.unwrap_or(status.speed);
            }
            ReplayCommand::Slower => {
                let slower = SPEEDS.into_iter().rev().find(|&speed| speed < status.speed);
                status.speed = slower.unwrap_or(status.speed);
            }
        }
    }

    /// The last tick that is shown.
    pub(super) fn last(&self) -> usize {
        self.range.end.min(self.times.len()).saturating_sub(1).max(self.range.start)
    }

    /// The first tick that is at least so many seconds away from `from`, else the last one in that direction. A clock
    /// that was set back within the recording cannot make it go the wrong way.
    fn after(&self, from: usize, seconds: i32) -> usize {
        let Some(&now) = self.times.get(from) else { return from };
        let target = now.saturating_add(i64::from(seconds) * 1_000_000_000);
        if seconds >= 0 {
            let later = self.times.iter().enumerate().skip(from + 1);
            later.clone().find(|(_, at)| **at >= target).or_else(|| later.last()).map_or(from, |(at, _)| at)
        } else {
            self.times[..from].iter().rposition(|&at| at <= target).unwrap_or(0)
        }
    }
}
