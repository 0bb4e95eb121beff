//! A sign of life on stderr for runs that take long.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// How long a run is silent before and between signs of life.
const EVERY: Duration = Duration::from_secs(5);

/// Says now and then how far a run is.
#[derive(Debug)]
pub struct Progress {
    next: Option<Instant>,
}

impl Progress {
    /// Only one PE speaks.
    #[must_use]
    pub fn new(speaks: bool) -> Self {
        Self { next: speaks.then(|| Instant::now() + EVERY) }
    }

    /// Says `text` if it is time to.
    pub fn tick(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.next.is_some_and(|next| now >= next) {
            self.next = Some(now + EVERY);
            self.say(&text());
        }
    }

    /// Says something now. A stderr that is gone is no reason to end the run.
    pub fn say(&self, text: &str) {
        if self.next.is_some() {
            let _closed = writeln!(io::stderr().lock(), "railtop: {text}");
        }
    }
}
