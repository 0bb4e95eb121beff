//! What has gone wrong for good, told once to everyone who waits.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A job that has failed: the first reason stays, every later one is a consequence.
#[derive(Debug, Clone, Default)]
pub struct Fault(Arc<OnceLock<String>>);

impl Fault {
    /// Records the reason, if it is the first.
    pub fn raise(&self, reason: impl Into<String>) {
        let _ = self.0.set(reason.into());
    }

    /// Waits up to `limit` for a reason.
    pub fn await_reason(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.reason().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The reason, once there is one. Cheap enough for every turn of a wait.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let fault = Fault::default();
        assert_eq!(fault.reason(), None);
        fault.raise("PE 3 left");
        fault.clone().raise("then everything else fell over");
        assert_eq!(fault.reason(), Some("PE 3 left"));
    }
}
