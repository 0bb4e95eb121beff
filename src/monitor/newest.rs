//! The newest view, between the thread that makes views and the screen: neither ever waits for the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::model::view::View;

/// What both hold. A view that nobody took in time is gone: only the newest matters.
#[derive(Clone, Default)]
pub(super) struct Newest(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    /// Until the screen takes it.
    view: Option<Arc<View>>,
    wake: Option<Box<dyn Fn() + Send>>,
}

impl Newest {
    /// Puts a view in place of the one before, and wakes who wants to know.
    pub(super) fn publish(&self, view: Arc<View>) {
        let mut slot = self.lock();
        slot.view = Some(view);
        if let Some(wake) = &slot.wake {
            wake();
        }
    }

    /// From now on `wake` is called whenever there is a new view, on the thread that makes them; also now, if there is one.
    pub(super) fn subscribe(&self, wake: impl Fn() + Send + 'static) {
        let mut slot = self.lock();
        if slot.view.is_some() {
            wake();
        }
        slot.wake = Some(Box::new(wake));
    }

    /// The view, if it was not taken before.
    pub(super) fn take(&self) -> Option<Arc<View>> {
        self.lock().view.take()
    }

    /// A panic while the lock was held leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
