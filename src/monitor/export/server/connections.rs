//! The open connections, of which there are only so many: one that idles gives way to a new one.
//!
//! A client that opens connections and sends nothing, or takes nothing of what it is sent, would else keep all others
//! out until a time-out. Whoever waits for a page that is being read is left alone, and so is who came just now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::stats::Stats;

/// A connection is not made to give way before this: it has hardly had time to send its request.
const GRACE: Duration = Duration::from_secs(2);
/// How often is looked whether one has become idle for so long.
const LOOK: Duration = Duration::from_millis(50);

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    stats: Arc<Stats>,
    open: Mutex<Open>,
    /// One was closed.
    closed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_number: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Since when it is as it is.
    since: Instant,
    /// Waits for a page.
    waits: bool,
    evict: Arc<Notify>,
}

impl Connections {
    pub(super) fn new(most: usize, stats: Arc<Stats>) -> Self {
        Self { most: most.max(1), stats, open: Mutex::default(), closed: Notify::new() }
    }

    /// Waits until there is room for one more; the one that has idled longest gives way.
    pub(super) async fn room(&self) {
        loop {
            let closed = self.closed.notified();
            let victim = {
                let open = self.lock();
                if open.by_number.len() < self.most {
                    return;
                }
                let idle = open.by_number.values().filter(|e| !e.waits && e.since.elapsed() >= GRACE);
                idle.min_by_key(|e| e.since).map(|e| Arc::clone(&e.evict))
            };
            if let Some(victim) = victim {
                self.stats.evicted();
                victim.notify_one();
                closed.await;
            } else {
                let _none = tokio::time::timeout(LOOK, closed).await;
            }
        }
    }

    /// Counts a new connection, until its guard is dropped.
    pub(super) fn open(this: &Arc<Self>) -> Guard {
        let mut open = this.lock();
        let number = open.next;
        open.next += 1;
        let evict = Arc::new(Notify::new());
        let entry = Entry { since: Instant::now(), waits: false, evict: Arc::clone(&evict) };
        open.by_number.insert(number, entry);
        this.stats.set_open(open.by_number.len());
        drop(open);
        Guard { number, evict, all: Arc::clone(this) }
    }

    /// Waits until there is none.
    pub(super) async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            if self.lock().by_number.is_empty() {
                return;
            }
            closed.await;
        }
    }

    /// A panic while the lock was held leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Guard {
    number: u64,
    evict: Arc<Notify>,
    all: Arc<Connections>,
}

impl Guard {
    /// Tells when it has to give way.
    pub(super) fn evicted(&self) -> Arc<Notify> {
        Arc::clone(&self.evict)
    }

    /// From now on it waits for a page, or does so no more.
    pub(super) fn set_waits(&self, waits: bool) {
        if let Some(entry) = self.all.lock().by_number.get_mut(&self.number) {
            entry.waits = waits;
            entry.since = Instant::now();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut open = self.all.lock();
        open.by_number.remove(&self.number);
        self.all.stats.set_open(open.by_number.len());
        drop(open);
        self.all.closed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock stands still but for sleeps, which take no time.
    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_gives_way_and_who_waits_does_not() {
        let stats = Arc::new(Stats::default());
        let all = Arc::new(Connections::new(3, Arc::clone(&stats)));
        let open = || async {
            let guard = Connections::open(&all);
            tokio::time::sleep(Duration::from_millis(10)).await;
            guard
        };
        let (waits, oldest, newest) = (open().await, open().await, open().await);
        waits.set_waits(true);
        let evicted = oldest.evicted();
        let gone = tokio::spawn(async move {
            evicted.notified().await;
            drop(oldest);
        });
        let begun = Instant::now();
        all.room().await;
        assert!(begun.elapsed() + Duration::from_millis(20) >= GRACE, "it had its time");
        gone.await.unwrap();
        assert_eq!((all.lock().by_number.len(), stats.evictions()), (2, 1));
        let fourth = open().await;
        // None is idle any more: room comes with one that ends by itself.
        for guard in [&newest, &fourth] {
            guard.set_waits(true);
        }
        let ends = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(newest);
        });
        all.room().await;
        ends.await.unwrap();
        assert_eq!(stats.evictions(), 1);
        drop((waits, fourth));
        all.all_closed().await;
    }
}
