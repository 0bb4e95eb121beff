//! A monitor on a thread of its own, for a screen.
//!
//! Threads: the *sampler* ticks on absolute deadlines and asks one *reader* per NIC (see `source::sysfs`); the screen's
//! thread only ever picks up the latest [`View`]. Nothing the screen does can delay a sample, nor the other way round.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::model::view::View;
use super::newest::Newest;
use super::record::{About, RecordError, Recorder, Status};
use super::sample::{Needs, Sample};
use super::{Config, Monitor, Ticker};

/// When the first look did not wait for somebody, the second is this much later, the third twice that after the second,
/// and so on until all have answered or the interval is reached: it may be an hour.
const SECOND_LOOK: Duration = Duration::from_millis(250);

/// What the screen asks of the sampler.
enum Request {
    Interval(Duration),
    Needs(Needs),
    Record(Option<Box<Recorder>>),
    Stop,
}

/// Handle of the sampler's thread. Dropping it ends the thread.
pub struct Sampler {
    newest: Newest,
    /// How the recording is that the screen has begun and not ended.
    recording: Arc<Mutex<Option<Status>>>,
    requests: Sender<Request>,
    thread: Option<JoinHandle<()>>,
    /// What is monitored, for the header of a recording.
    config: Config,
}

impl Sampler {
    /// Starts sampling, the first time at once.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(config: Config) -> io::Result<Self> {
        let (newest, recording) = (Newest::default(), Arc::new(Mutex::new(None)));
        let (requests, asked) = mpsc::channel();
        let (views, theirs) = (newest.clone(), Arc::clone(&recording));
        let ours = config.clone();
        let thread = thread::Builder::new().name("sampler".to_owned()).spawn(move || {
            let mut ticker = Ticker::new(Instant::now(), config.interval);
            let mut monitor = Monitor::new(config);
            let mut needs = Needs::everything();
            let mut recorder: Option<Box<Recorder>> = None;
            let mut missed = 0;
            let mut first = true;
            let mut early = Some(SECOND_LOOK);
            loop {
                let wait = ticker.deadline().saturating_duration_since(Instant::now());
                match asked.recv_timeout(wait) {
                    Ok(Request::Interval(interval)) => {
                        monitor.set_interval(interval);
                        ticker.set_interval(interval, Instant::now());
                    }
                    Ok(Request::Needs(asked)) => {
                        needs = asked;
                        monitor.set_needs(needs.and_recorded(recorder.is_some()));
                    }
                    Ok(Request::Record(new)) => {
                        recorder = new;
                        monitor.set_needs(needs.and_recorded(recorder.is_some()));
                    }
                    Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let quick = std::mem::take(&mut first);
                        let sample = if quick { monitor.quick_sample() } else { monitor.sample() };
                        let interval = monitor.config().interval;
                        early = early.filter(|&pause| pause < interval && lacks_an_answer(&sample));
                        let view = Arc::new(monitor.derive(&sample).view);
                        views.publish(view);
                        // After the view: a slow disk must not delay the screen.
                        if let Some(open) = &mut recorder {
                            let added = open.add(sample, monitor.config().interval, missed);
                            let error = added.err().map(|e| e.to_string());
                            let ended = error.is_some();
                            recorded(&theirs, Status { error, ..open.status() });
                            if ended {
                                recorder = None;
                                monitor.set_needs(needs);
                            }
                        }
                        missed = ticker.advance(Instant::now());
                        if let Some(pause) = &mut early {
                            ticker = Ticker::new(Instant::now() + *pause, interval);
                            *pause *= 2;
                        }
                    }
                }
            }
        })?;
        Ok(Self { newest, recording, requests, thread: Some(thread), config: ours })
    }

    /// From now on `wake` is called, on the sampler's thread, whenever a new view is there; also now, if one is.
    /// It must be quick and must not call back into the sampler.
    pub fn subscribe(&mut self, wake: impl Fn() + Send + 'static) {
        self.newest.subscribe(wake);
    }

    /// Takes the newest view that was not taken before. Never waits for a sample.
    #[must_use]
    pub fn latest(&mut self) -> Option<Arc<View>> {
        self.newest.take()
    }

    /// Changes the interval, from now on.
    pub fn set_interval(&mut self, interval: Duration) {
        // The thread is gone only after a bug, which `is_alive` tells.
        let _gone = self.requests.send(Request::Interval(interval));
        self.config.interval = interval;
    }

    /// Records every tick from the next one on, with everything that can be read, until [`stop_recording`](Self::stop_recording)
    /// or an error. A recording that runs is ended first.
    ///
    /// # Errors
    /// When the file cannot be opened or holds something else.
    pub fn start_recording(&mut self, path: &Path) -> Result<(), RecordError> {
        let recorder = Recorder::open(path, &About::of(&self.config))?;
        *lock(&self.recording) = Some(recorder.status());
        let _gone = self.requests.send(Request::Record(Some(Box::new(recorder))));
        Ok(())
    }

    /// Ends the recording; returns how it was.
    pub fn stop_recording(&mut self) -> Option<Status> {
        let _gone = self.requests.send(Request::Record(None));
        lock(&self.recording).take()
    }

    /// How the recording is; with the reason, if it ended by itself.
    #[must_use]
    pub fn recording(&self) -> Option<Status> {
        lock(&self.recording).clone()
    }

    /// Changes what is read, from the next tick on.
    pub fn set_needs(&mut self, needs: Needs) {
        let _gone = self.requests.send(Request::Needs(needs));
    }

    /// Whether the sampler still runs. If not, there will be no other view.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }
}

/// Whether something that is there has not been read.
fn lacks_an_answer(sample: &Sample) -> bool {
    sample.ports.iter().any(|port| port.reading.is_err())
}

/// Notes how the recording is, unless the screen has ended it meanwhile.
fn recorded(recording: &Mutex<Option<Status>>, status: Status) {
    if let Some(ours) = lock(recording).as_mut().filter(|ours| ours.path == status.path) {
        *ours = status;
    }
}

/// A panic while the lock was held leaves nothing half done here.
fn lock(recording: &Mutex<Option<Status>>) -> MutexGuard<'_, Option<Status>> {
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").field("thread", &self.thread).finish_non_exhaustive()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        let _gone = self.requests.send(Request::Stop);
        if let Some(thread) = self.thread.take() {
            // Bounded: a tick waits for devices no longer than its deadline.
            let _panicked = thread.join();
        }
    }
}
