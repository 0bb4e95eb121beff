//! A recording as the screen's source of views: a thread reads and derives, so that a slow disk never freezes the screen.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::control::{ReplayHandle, ReplayStatus, Shared};
use super::{Replayed, Replayer};
use crate::monitor::model::view::View;
use crate::monitor::record::ReadError;
use crate::monitor::tui::{ViewSource, Waker};

/// The longest pause between two ticks that is played as it was: what was recorded after a night does not come after a night.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the thread has for the screen.
#[derive(Debug, Default)]
struct News {
    latest: Option<Arc<View>>,
    /// The views before it, after a jump.
    past: Option<Vec<Arc<View>>>,
}

/// Plays a recording.
#[derive(Debug)]
pub struct ReplaySource {
    handle: ReplayHandle,
    news: Arc<Mutex<News>>,
    replayer: Option<Replayer>,
    thread: Option<JoinHandle<()>>,
}

impl ReplaySource {
    /// Stands at the first tick of `range`, which it does not leave, and plays once the screen has subscribed.
    #[must_use]
    pub fn new(replayer: Replayer, range: Range<usize>) -> Self {
        let recording = replayer.recording();
        let times = recording.times().collect();
        let status = ReplayStatus {
            position: range.start,
            length: recording.len(),
            realtime_ns: recording.realtime_ns(range.start),
            speed: 1.0,
            playing: true,
            error: None,
        };
        let shared = Shared { status, wanted: Some(range.start), range, times, ended: false };
        let handle = ReplayHandle(Arc::new((Mutex::new(shared), Condvar::new())));
        Self { handle, news: Arc::default(), replayer: Some(replayer), thread: None }
    }

    /// What steers it.
    #[must_use]
    pub fn handle(&self) -> ReplayHandle {
        self.handle.clone()
    }

    fn start(&mut self, wake: impl Fn() + Send + 'static) -> io::Result<()> {
        let Some(mut replayer) = self.replayer.take() else { return Ok(()) };
        let (handle, news) = (self.handle.clone(), Arc::clone(&self.news));
        let thread = thread::Builder::new().name("replay".to_owned()).spawn(move || {
            while let Some(step) = next_step(&handle) {
                let read = match step {
                    Step::Next => replayer.advance().map(|read| read.map(|tick| vec![tick])),
                    Step::Jump(tick) => Some(replayer.jump(tick)),
                };
                if let Some(read) = read {
                    publish(&handle, &news, step, read);
                }
                wake();
            }
        })?;
        self.thread = Some(thread);
        Ok(())
    }
}

/// What the thread does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The next tick, since it plays.
    Next,
    /// Any tick.
    Jump(usize),
}

/// Waits until there is something to do; `None` when the screen has gone.
fn next_step(handle: &ReplayHandle) -> Option<Step> {
    let begin = Instant::now();
    let mut shared = handle.lock();
    loop {
        if shared.ended {
            return None;
        }
        if let Some(tick) = shared.wanted.take() {
            let next = tick == shared.status.position + 1;
            return Some(if next { Step::Next } else { Step::Jump(tick) });
        }
        let Some(due) = shared.due() else {
            shared = handle.wait(shared, Duration::from_secs(3600));
            continue;
        };
        // The speed may change meanwhile; the pause began when the tick was shown.
        let left = due.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Some(Step::Next);
        }
        shared = handle.wait(shared, left);
    }
}

impl Shared {
    /// How long the tick on the screen is shown while it plays; `None` when it does not, or is the last.
    pub(super) fn due(&mut self) -> Option<Duration> {
        let at = self.status.position;
        let (Some(now), Some(next)) =
            (self.times.get(at), self.times.get(at + 1).filter(|_| at < self.last()))
        else {
            self.status.playing = false;
            return None;
        };
        let pause = Duration::from_nanos(u64::try_from(next.saturating_sub(*now)).unwrap_or(0));
        self.status.playing.then(|| pause.min(LONGEST_PAUSE).div_f64(self.status.speed))
    }
}

fn publish(handle: &ReplayHandle, news: &Mutex<News>, step: Step, read: Result<Vec<Replayed>, ReadError>) {
    let mut shared = handle.lock();
    let position = match step {
        Step::Next => shared.status.position + 1,
        Step::Jump(tick) => tick,
    };
    shared.status.position = position.min(shared.status.length.saturating_sub(1));
    shared.status.realtime_ns = shared.times.get(shared.status.position).map_or(0, |&at| at.into());
    shared.status.error = read.as_ref().err().map(ToString::to_string);
    // What is on the screen must not look like the tick that cannot be read.
    shared.status.playing &= read.is_ok();
    drop(shared);
    let Ok(read) = read else { return };
    let mut views: Vec<_> = read.into_iter().map(|tick| Arc::new(tick.derived.view)).collect();
    let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
    news.latest = views.pop();
    if matches!(step, Step::Jump(_)) {
        news.past = Some(views);
    }
}

impl ViewSource for ReplaySource {
    fn subscribe(&mut self, waker: Waker) {
        if let Err(e) = self.start(move || waker.wake()) {
            self.handle.lock().status.error = Some(format!("cannot start a thread: {e}"));
        }
    }

    fn latest(&mut self) -> Option<Arc<View>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).latest.take()
    }

    fn past(&mut self) -> Option<Vec<Arc<View>>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).past.take()
    }

    fn set_interval(&mut self, _interval: Duration) {
        // The recording has the interval that it has.
    }
}

impl Drop for ReplaySource {
    fn drop(&mut self) {
        self.handle.end();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
