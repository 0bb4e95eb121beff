//! A monitor on a thread of its own, for a screen.
//!
//! Threads: the *sampler* ticks on absolute deadlines and asks one *reader* per NIC (see `source::sysfs`); the screen's
//! thread only ever picks up the latest [`View`]. Nothing the screen does can delay a sample, nor the other way round.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::model::view::View;
use super::{Config, Monitor, Ticker};

/// What the screen asks of the sampler.
enum Request {
    Interval(Duration),
    Stop,
}

/// Handle of the sampler's thread. Dropping it ends the thread.
#[derive(Debug)]
pub struct Sampler {
    latest: Arc<Mutex<Option<Arc<View>>>>,
    requests: Sender<Request>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts sampling; `wake` is called on the sampler's thread whenever a new view is there.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(config: Config, wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        let latest = Arc::new(Mutex::new(None));
        let (requests, asked) = mpsc::channel();
        let slot = Arc::clone(&latest);
        let thread = thread::Builder::new().name("sampler".to_owned()).spawn(move || {
            let mut ticker = Ticker::new(Instant::now(), config.interval);
            let mut monitor = Monitor::new(config);
            loop {
                let wait = ticker.deadline().saturating_duration_since(Instant::now());
                match asked.recv_timeout(wait) {
                    Ok(Request::Interval(interval)) => {
                        monitor.set_interval(interval);
                        ticker.set_interval(interval, Instant::now());
                    }
                    Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let view = Arc::new(monitor.tick().view);
                        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(view);
                        wake();
                        ticker.advance(Instant::now());
                    }
                }
            }
        })?;
        Ok(Self { latest, requests, thread: Some(thread) })
    }

    /// The newest view; `None` before the first.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<View>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the interval, from now on.
    pub fn set_interval(&self, interval: Duration) {
        // The thread is gone only after a bug, which `is_alive` tells.
        let _gone = self.requests.send(Request::Interval(interval));
    }

    /// Whether the sampler still runs. If not, the latest view is the last one there will be.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
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
