//! Where the screen gets its data: anything that can hand over the newest [`View`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::handles::Waker;
use crate::monitor::model::view::View;
use crate::monitor::record::Status;
use crate::monitor::sample::Needs;

/// A producer of [`View`]s, on a thread of its own so that a stuck device never freezes the screen.
///
/// The contract is a single-slot mailbox: the producer puts the newest view into the slot and calls
/// [`Waker::wake`]; the screen takes it when it gets there. A view that was overtaken is dropped.
pub trait ViewSource {
    /// Called once before the first frame: `waker.wake()` tells the screen that a view is ready.
    fn subscribe(&mut self, waker: Waker);

    /// Takes the newest view that was not taken before; `None` when there is none. Never blocks.
    fn latest(&mut self) -> Option<Arc<View>>;

    /// Asks for another sampling interval; takes effect with the next tick.
    fn set_interval(&mut self, interval: Duration);

    /// After a jump in time, before the view that [`latest`](Self::latest) gives next: forget the history and take these
    /// views as the new one. `None` when time went on as usual.
    fn past(&mut self) -> Option<Vec<Arc<View>>> {
        None
    }

    /// Begins to record what is read, everything included, to a file of this name; a recording that is there already is
    /// appended to. Only one at a time.
    ///
    /// # Errors
    /// When it cannot be opened, in words; or when this source has nothing to record.
    fn start_recording(&mut self, _path: &Path) -> Result<(), String> {
        Err("what is shown here cannot be recorded".to_owned())
    }

    /// Ends the recording; returns how it was at the end, if there was one.
    fn stop_recording(&mut self) -> Option<Status> {
        None
    }

    /// How the recording is; also after an error, until it is stopped.
    fn recording(&self) -> Option<Status> {
        None
    }

    /// Says what the screen shows, so that nothing else is read; takes effect with the next tick.
    fn set_needs(&mut self, _needs: Needs) {}
}

impl ViewSource for crate::monitor::fleet::Fleet {
    fn subscribe(&mut self, waker: Waker) {
        Self::subscribe(self, move || waker.wake());
    }

    fn latest(&mut self) -> Option<Arc<View>> {
        Self::latest(self)
    }

    fn set_interval(&mut self, interval: Duration) {
        Self::set_interval(self, interval);
    }
}

impl ViewSource for crate::monitor::Sampler {
    fn subscribe(&mut self, waker: Waker) {
        Self::subscribe(self, move || waker.wake());
    }

    fn latest(&mut self) -> Option<Arc<View>> {
        Self::latest(self)
    }

    fn set_interval(&mut self, interval: Duration) {
        Self::set_interval(self, interval);
    }

    fn start_recording(&mut self, path: &Path) -> Result<(), String> {
        Self::start_recording(self, path).map_err(|e| e.to_string())
    }

    fn stop_recording(&mut self) -> Option<Status> {
        Self::stop_recording(self)
    }

    fn recording(&self) -> Option<Status> {
        Self::recording(self)
    }

    fn set_needs(&mut self, needs: Needs) {
        Self::set_needs(self, needs);
    }
}
