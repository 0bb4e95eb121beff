//! Watches a PE's NICs during the timed part, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::counters::monotonic_ns;
use crate::transport::proxy::Shared;
use crate::windows::Curve;

/// What was seen between start and stop.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Begin, on the monotonic clock.
    pub from_ns: u64,
    /// End.
    pub to_ns: u64,
    /// Bytes sent, per NIC.
    pub tx: Vec<Curve>,
    /// Bytes received, per NIC.
    pub rx: Vec<Curve>,
    /// Bytes received on all NICs together.
    pub rx_total: Curve,
}

impl Watch {
    fn take(&mut self, shared: &Shared) {
        self.to_ns = monotonic_ns();
        let live = shared.live_bytes();
        self.tx.resize_with(live.len(), Curve::default);
        self.rx.resize_with(live.len(), Curve::default);
        self.rx_total.push(self.to_ns, live.iter().map(|[_, received]| received).sum());
        for ((tx, rx), [sent, received]) in self.tx.iter_mut().zip(&mut self.rx).zip(live) {
            tx.push(self.to_ns, sent);
            rx.push(self.to_ns, received);
        }
    }
}

/// A running watch.
#[derive(Debug)]
pub struct Meter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Watch>>,
}

impl Meter {
    /// Starts to look every `interval`.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(shared: Arc<Shared>, interval: Duration) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut watch = Watch { from_ns: monotonic_ns(), ..Watch::default() };
        watch.take(&shared);
        let thread = std::thread::Builder::new().name("meter".into()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                std::thread::park_timeout(interval);
                watch.take(&shared);
            }
            watch
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops and gives what was seen.
    #[must_use]
    pub fn stop(mut self) -> Watch {
        self.end().unwrap_or_default()
    }

    fn end(&mut self) -> Option<Watch> {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take()?;
        thread.thread().unpark();
        thread.join().ok()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
