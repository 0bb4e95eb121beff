//! A source that ticks by itself.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::handles::{CaptionHandle, Waker};
use super::super::source::ViewSource;
use super::{Cluster, Machine, Shape};
use crate::monitor::model::view::View;

/// Makes the view of a tick, and sets the caption.
type Make = Box<dyn FnMut(u64) -> View + Send>;

/// A thread that delivers made-up views.
pub struct SyntheticSource {
    make: Option<Make>,
    interval: Duration,
    panic_at: Option<u64>,
    slot: Arc<Mutex<Option<Arc<View>>>>,
    control: Option<Sender<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for SyntheticSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyntheticSource").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl SyntheticSource {
    /// The article's story: changes the shape every `ticks_per_shape` ticks and says so in `caption`.
    #[must_use]
    pub fn new(cluster: Cluster, ticks_per_shape: u64, caption: CaptionHandle) -> Self {
        let interval = cluster.interval;
        let ticks_per_shape = ticks_per_shape.max(1);
        let make = move |tick: u64| {
            let shapes = [Shape::Single, Shape::RoundRobin, Shape::Colliding, Shape::PairSeq];
            let shape = shapes[usize::try_from(tick / ticks_per_shape % 4).unwrap_or(0)];
            if tick.is_multiple_of(ticks_per_shape) {
                caption.set(shape.caption());
            }
            cluster.view(shape, tick)
        };
        Self::of(Box::new(make), interval)
    }

    /// A machine as it goes.
    #[must_use]
    pub fn machine(machine: Machine) -> Self {
        let interval = machine.interval;
        Self::of(Box::new(move |tick| machine.view(tick)), interval)
    }

    /// Makes a tick as often as this, however much time its data say has passed.
    #[must_use]
    pub fn paced(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    fn of(make: Make, interval: Duration) -> Self {
        Self { make: Some(make), interval, panic_at: None, slot: Arc::default(), control: None, thread: None }
    }

    /// Panics on the thread of the source at this tick, as a bug in a sampler would.
    #[must_use]
    pub fn panicking_at(mut self, tick: u64) -> Self {
        self.panic_at = Some(tick);
        self
    }
}

impl ViewSource for SyntheticSource {
    fn subscribe(&mut self, waker: Waker) {
        let Some(mut make) = self.make.take() else { return };
        let (control, intervals) = mpsc::channel();
        let (slot, panic_at, mut interval) = (Arc::clone(&self.slot), self.panic_at, self.interval);
        self.control = Some(control);
        self.thread = Some(std::thread::spawn(move || {
            let mut tick = 0;
            loop {
                assert!(panic_at != Some(tick), "asked for at tick {tick}");
                let view = Arc::new(View { interval, ..make(tick) });
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(view);
                waker.wake();
                tick += 1;
                match intervals.recv_timeout(interval) {
                    Ok(asked) => interval = asked,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }));
    }

    fn latest(&mut self) -> Option<Arc<View>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set_interval(&mut self, interval: Duration) {
        if let Some(control) = &self.control {
            let _ = control.send(interval);
        }
    }
}

impl Drop for SyntheticSource {
    fn drop(&mut self) {
        self.control = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
