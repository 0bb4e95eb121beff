//! A few threads for many reads, any of which may hang.
//!
//! A round begins with as few threads as the last one needed, mostly one, which does all reads one after the other: each
//! thread that is woken costs two system calls a tick. Reads that are still left after a while show that those who read
//! are slow or stuck, so the number of threads is doubled, again and again, until every read has one. Whoever is stuck
//! holds the thread it is on and no other. Whoever asked waits until a deadline.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Something to be done once, on any thread.
pub(super) type Task = Box<dyn FnOnce() + Send>;

/// What share of the deadline the threads at work are given before more are called.
const PATIENCE_SHARE: u32 = 20;
/// Threads that may sleep beyond those that a round begins with, and for how many rounds others do before they end.
const SPARE: usize = 1;
const QUIET: u32 = 60;

/// What threads and asker share.
#[derive(Default)]
struct State {
    round: u64,
    /// Tasks of the running round that no thread has taken yet.
    waited: VecDeque<Task>,
    /// Tasks that nobody waits for.
    others: VecDeque<Task>,
    /// Tasks of the running round that are not done.
    open: usize,
    /// Threads that live, and those of them that are at a task; the others sleep or are about to look for one.
    threads: usize,
    busy: usize,
    /// How many shall end.
    leave: usize,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
}

impl Shared {
    /// No task runs while it is held, so that a panic leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a thread.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if state.stop {
                return;
            }
            let waited = state.waited.pop_front();
            let round = waited.is_some().then_some(state.round);
            if let Some(task) = waited.or_else(|| state.others.pop_front()) {
                state.busy += 1;
                drop(state);
                let doing = Doing { shared: self, round };
                task();
                drop(doing);
                state = self.lock();
            } else if state.leave > 0 {
                state.leave -= 1;
                state.threads -= 1;
                return;
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Counts a task that ends, and the thread that ends with it when it panics.
struct Doing<'a> {
    shared: &'a Shared,
    /// The round in which it was waited for; in a later one it is no more.
    round: Option<u64>,
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.busy -= 1;
        state.threads -= usize::from(thread::panicking());
        if self.round == Some(state.round) {
            state.open = state.open.saturating_sub(1);
            let last = state.open == 0;
            drop(state);
            if last {
                self.shared.done.notify_one();
            }
        }
    }
}

/// The threads. Dropping it ends them as soon as they are back from the kernel; it does not wait for that.
pub(super) struct Crew {
    shared: Arc<Shared>,
    /// With how many threads a round begins.
    width: usize,
    /// For how many rounds threads have slept that nobody needed.
    quiet: u32,
}

impl Crew {
    pub(super) fn new() -> Self {
        Self { shared: Arc::default(), width: 1, quiet: 0 }
    }

    /// Does all tasks, and waits until `waited` are done or `deadline` has passed; what is left then goes on.
    ///
    /// # Errors
    /// When there is no thread at all and the system gives none; then nothing is done.
    pub(super) fn run(&mut self, waited: Vec<Task>, others: Vec<Task>, deadline: Duration) -> io::Result<()> {
        let count = waited.len();
        let begun = Instant::now();
        let patience = deadline / PATIENCE_SHARE;
        let (until, mut more_at) = (begun + deadline, begun + patience);
        // Each of those that nobody waits for may hold a thread for long.
        let mut hands = self.width.min(count);
        self.begin(waited, others, hands)?;
        let mut grown = false;
        let mut state = self.shared.lock();
        let complete = loop {
            if state.open == 0 {
                break true;
            }
            let now = Instant::now();
            if now >= until {
                break false;
            }
            if now >= more_at && !state.waited.is_empty() {
                drop(state);
                // Those that can be had do; the next call tries again.
                let _enough = self.call(hands.max(1));
                (hands, grown) = (2 * hands.max(1), true);
                more_at = Instant::now() + patience;
                state = self.shared.lock();
                continue;
            }
            let wake = if state.waited.is_empty() { until } else { until.min(more_at) };
            let limit = wake.saturating_duration_since(now);
            state = self.shared.done.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(state);
        match (grown, complete) {
            (true, true) => self.width = hands.min(count),
            // Somebody is stuck, who will not be waited for again.
            (true, false) => {}
            // Fewer are tried, since each costs calls. With too few, more are called a little later.
            (false, _) => self.width = (self.width / 2).max(1),
        }
        Ok(())
    }

    /// Hands out the tasks and wakes `hands` threads, and one for each that nobody waits for.
    fn begin(&mut self, waited: Vec<Task>, others: Vec<Task>, hands: usize) -> io::Result<()> {
        let hands = hands + others.len();
        let mut state = self.shared.lock();
        state.round += 1;
        state.open = waited.len();
        // What was left over is late, and comes after what is asked for now.
        let late = std::mem::replace(&mut state.waited, waited.into());
        state.others.extend(late);
        state.others.extend(others);
        let idle = (state.threads - state.busy).saturating_sub(hands + SPARE);
        self.quiet = if idle > 0 { self.quiet + 1 } else { 0 };
        let leaving = if self.quiet > QUIET { idle } else { 0 };
        state.leave = leaving;
        drop(state);
        let called = self.call(hands + leaving);
        let mut state = self.shared.lock();
        if called.is_err() && state.threads == 0 {
            state.open = 0;
            state.waited.clear();
            state.others.clear();
            return called;
        }
        Ok(())
    }

    /// Wakes that many threads that have nothing to do, and starts those that are missing.
    fn call(&self, hands: usize) -> io::Result<()> {
        let mut state = self.shared.lock();
        let free = (state.threads - state.busy).min(hands);
        let new = hands - free;
        state.threads += new;
        drop(state);
        for _ in 0..free {
            self.shared.work.notify_one();
        }
        for started in 0..new {
            let theirs = Arc::clone(&self.shared);
            let spawned = thread::Builder::new().name("reader".to_owned()).spawn(move || theirs.serve());
            if let Err(e) = spawned {
                self.shared.lock().threads -= new - started;
                return Err(e);
            }
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.work.notify_all();
    }
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("width", &self.width).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(100);

    fn threads(crew: &Crew) -> usize {
        crew.shared.lock().threads
    }

    /// Waits until nobody has anything to do, and those that were told to end have.
    fn settle(crew: &Crew) {
        let at_rest = |state: &State| state.leave == 0 && state.busy == 0;
        while !at_rest(&crew.shared.lock()) {
            thread::yield_now();
        }
    }

    #[test]
    fn quick_tasks_are_done_by_one_thread_in_their_order() {
        let mut crew = Crew::new();
        let (tell, told) = mpsc::channel();
        for _ in 0..3 {
            let task = |n: usize| -> Task {
                let tell = tell.clone();
                Box::new(move || tell.send((n, thread::current().id())).unwrap())
            };
            crew.run((0..32).map(task).collect(), Vec::new(), LONG).unwrap();
            let all: Vec<_> = told.try_iter().collect();
            assert!(all.iter().map(|(n, _)| *n).eq(0..32), "{all:?}");
            assert_eq!(all.iter().map(|(_, id)| id).collect::<HashSet<_>>().len(), 1);
        }
        assert_eq!(threads(&crew), 1);
    }

    #[test]
    fn tasks_behind_any_number_of_stuck_ones_are_done_and_the_threads_end_when_those_let_go() {
        let mut crew = Crew::new();
        let (tell, told) = mpsc::channel();
        let (allow, allowed) = mpsc::channel::<()>();
        let allowed = Arc::new(Mutex::new(allowed));
        let task = |n: usize| -> Task {
            let (tell, allowed) = (tell.clone(), Arc::clone(&allowed));
            Box::new(move || {
                if n < 5 {
                    let _closed = allowed.lock().unwrap().recv();
                }
                tell.send(n).unwrap();
            })
        };
        crew.run((0..32).map(task).collect(), Vec::new(), Duration::from_secs(1)).unwrap();
        // A second is enough for them, but not on every machine.
        let done: HashSet<_> = (5..32).map(|_| told.recv_timeout(LONG).unwrap()).collect();
        assert_eq!(done, (5..32).collect(), "all but the stuck ones");
        assert!(threads(&crew) >= 6);
        // The next round waits for none of them.
        crew.run((5..32).map(task).collect(), Vec::new(), LONG).unwrap();
        assert_eq!(told.try_iter().count(), 27);
        drop(allow);
        assert_eq!(told.iter().take(5).collect::<HashSet<_>>(), (0..5).collect());
        settle(&crew);
        for round in 0..=QUIET {
            assert!(threads(&crew) > 1 + SPARE || round > QUIET / 2, "not at once");
            crew.run(vec![task(9)], Vec::new(), LONG).unwrap();
            settle(&crew);
        }
        assert_eq!(threads(&crew), 1 + SPARE, "nobody needs the others");
    }

    #[test]
    fn slow_tasks_get_more_threads_and_the_next_round_begins_with_them() {
        let mut crew = Crew::new();
        // None goes on before all four have begun.
        let barrier = Arc::new(std::sync::Barrier::new(4));
        let tasks = || -> Vec<Task> {
            (0..4)
                .map(|_| {
                    let barrier = Arc::clone(&barrier);
                    Box::new(move || {
                        let _leader = barrier.wait();
                    }) as Task
                })
                .collect()
        };
        crew.run(tasks(), Vec::new(), LONG).unwrap();
        assert_eq!(crew.width, 4);
        crew.run(tasks(), Vec::new(), LONG).unwrap();
        assert_eq!(crew.width, 2, "fewer are tried");
    }

    #[test]
    fn nobody_waits_for_the_others_and_they_are_done() {
        let mut crew = Crew::new();
        let (allow, allowed) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let other = Box::new(move || {
            let _closed = allowed.recv();
            tell.send(1).unwrap();
        });
        crew.run(Vec::new(), vec![other], LONG).unwrap();
        crew.run(vec![Box::new(|| ())], Vec::new(), LONG).unwrap();
        assert!(told.try_recv().is_err());
        drop(allow);
        assert_eq!(told.recv(), Ok(1));
    }

    #[test]
    fn a_task_that_panics_is_counted_and_the_rest_is_done() {
        let mut crew = Crew::new();
        let (tell, told) = mpsc::channel();
        for _ in 0..3 {
            let tell = tell.clone();
            let good: Task = Box::new(move || tell.send(1).unwrap());
            crew.run(vec![Box::new(|| panic!("a bug in a task")), good], Vec::new(), LONG).unwrap();
            assert_eq!(told.try_iter().count(), 1);
        }
    }
}
