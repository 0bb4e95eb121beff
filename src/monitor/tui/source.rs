//! Where the screen gets its data: anything that can hand over the newest [`View`].

use std::sync::Arc;
use std::time::Duration;

use super::handles::Waker;
use crate::monitor::model::view::View;
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

    /// Says what the screen shows, so that nothing else is read; takes effect with the next tick.
    fn set_needs(&mut self, _needs: Needs) {}
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

    fn set_needs(&mut self, needs: Needs) {
        Self::set_needs(self, needs);
    }
}
