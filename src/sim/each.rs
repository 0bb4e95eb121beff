//! A cluster under several policies, some of them at a time.
//!
//! Runs have nothing in common but what none of them changes, so their results are the same however many go at a time, and they are
//! handed over in the order in which the policies were named.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::engine::run;
use super::outcome::Outcome;
use super::scene::Scene;
use super::traffic::Traffic;
use crate::on_drop::OnDrop;
use crate::transport::select::{Place, PolicyKind, Selector};

/// Between two looks of who watches.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Who is told what happens, in the thread that called.
pub trait Watcher {
    /// Why it cannot go on.
    type Error;

    /// Some policies are being run, and `puts` have been posted under all so far. Comes several times a second, and may end all of it.
    ///
    /// # Errors
    /// Ends it as well.
    fn look(&mut self, running: &[PolicyKind], puts: u64) -> Result<ControlFlow<()>, Self::Error>;

    /// A run has ended, the next one in the order of the policies; where the watcher has ended it all, perhaps not the very next.
    ///
    /// # Errors
    /// Ends the others.
    fn done(&mut self, outcome: &Outcome) -> Result<(), Self::Error>;
}

/// Runs `traffic` in `scene` under each of `policies`, `threads` at a time. [`ControlFlow::Break`] when the watcher has ended it: then
/// it has been handed what was finished until then.
///
/// # Errors
/// The watcher's.
pub fn run_each<T: Traffic + Sync, W: Watcher>(
    scene: &Scene,
    traffic: &T,
    policies: &[PolicyKind],
    threads: NonZeroUsize,
    watcher: &mut W,
) -> Result<ControlFlow<()>, W::Error> {
    let work = Work {
        policies,
        order: longest_first(policies),
        next: AtomicUsize::new(0),
        runs: policies.iter().map(|_| Run::default()).collect(),
        stop: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        // However this ends, also by a panic: nobody works on for a result that nobody takes.
        let _stop = OnDrop::new(|| work.stop.store(true, Ordering::Relaxed));
        let (tell, told) = mpsc::channel();
        for _ in 1..threads.get().min(policies.len()) {
            let (tell, work) = (tell.clone(), &work);
            let named = thread::Builder::new().name("simulation".to_owned());
            // Where no more threads are to be had, those that are there do it all.
            let _fewer = named.spawn_scoped(scope, move || work.run(scene, traffic, &tell));
        }
        let work = &work;
        scope.spawn(move || work.run(scene, traffic, &tell));
        let mut ended: Vec<Option<Outcome>> = policies.iter().map(|_| None).collect();
        let mut handed = 0;
        loop {
            match told.recv_timeout(LOOK_EVERY) {
                Ok((index, outcome)) => ended[index] = Some(outcome),
                Err(RecvTimeoutError::Timeout) => {}
                // All have ended; a panic of one goes on where the scope ends.
                Err(RecvTimeoutError::Disconnected) => return Ok(ControlFlow::Continue(())),
            }
            while let Some(outcome) = ended.get_mut(handed).and_then(Option::take) {
                watcher.done(&outcome)?;
                handed += 1;
            }
            let (running, puts) = work.look();
            if watcher.look(&running, puts)?.is_break() {
                ended.iter().flatten().try_for_each(|outcome| watcher.done(outcome))?;
                return Ok(ControlFlow::Break(()));
            }
        }
    })
}

/// What is to be done, and how far it is.
struct Work<'p> {
    policies: &'p [PolicyKind],
    /// Places in `policies`, in the order in which they are begun.
    order: Vec<usize>,
    next: AtomicUsize,
    /// By place in `policies`.
    runs: Vec<Run>,
    stop: AtomicBool,
}

#[derive(Default)]
struct Run {
    is_on: AtomicBool,
    puts: AtomicU64,
}

impl Work<'_> {
    /// One run after another, while there are any.
    fn run<T: Traffic>(&self, scene: &Scene, traffic: &T, tell: &mpsc::Sender<(usize, Outcome)>) {
        while let Some(&index) = self.order.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let this = &self.runs[index];
            this.is_on.store(true, Ordering::Relaxed);
            let outcome = run(scene, traffic, self.policies[index], &mut |puts| {
                this.puts.store(puts, Ordering::Relaxed);
                if self.stop.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            this.is_on.store(false, Ordering::Relaxed);
            let Ok(outcome) = outcome else { return };
            this.puts.store(outcome.puts, Ordering::Relaxed);
            if tell.send((index, outcome)).is_err() {
                return;
            }
        }
    }

    /// What is being run, and the puts that have been posted under all policies.
    fn look(&self) -> (Vec<PolicyKind>, u64) {
        let each = || self.policies.iter().zip(&self.runs);
        let running = each().filter(|(_, run)| run.is_on.load(Ordering::Relaxed)).map(|(&policy, _)| policy);
        (running.collect(), each().map(|(_, run)| run.puts.load(Ordering::Relaxed)).sum())
    }
}

/// Places in `policies`: first those that look at the load of NICs, which take twice as long, so that no thread is left alone with one.
fn longest_first(policies: &[PolicyKind]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..policies.len()).collect();
    let reads_load = |&index: &usize| {
        let place = Place { me: 0, pes: 1, nics: 1 };
        policies.get(index).is_some_and(|&policy| Selector::new(policy, place).reads_load())
    };
    order.sort_by_key(|index| !reads_load(index));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::costs::Preset;
    use crate::sim::made::scene;
    use crate::sim::traffic::AllToAll;

    /// Ends it all after so many outcomes, if it is to.
    #[derive(Default)]
    struct Notes {
        outcomes: Vec<(PolicyKind, u64, u64)>,
        end_after: Option<usize>,
        fail_after: Option<usize>,
    }

    impl Watcher for Notes {
        type Error = String;

        fn look(&mut self, running: &[PolicyKind], _puts: u64) -> Result<ControlFlow<()>, String> {
            assert!(running.len() <= 3, "{running:?}");
            let is_over = self.end_after.is_some_and(|end| self.outcomes.len() >= end);
            Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        }

        fn done(&mut self, outcome: &Outcome) -> Result<(), String> {
            self.outcomes.push((outcome.policy, outcome.span_ps, outcome.puts));
            if self.fail_after == Some(self.outcomes.len()) { Err("full".to_owned()) } else { Ok(()) }
        }
    }

    fn place(policy: PolicyKind) -> Option<usize> {
        PolicyKind::ALL.iter().position(|other| *other == policy)
    }

    fn go(threads: usize, notes: &mut Notes) -> Result<ControlFlow<()>, String> {
        let scene = scene(Preset::EfaP5, 4);
        let traffic = AllToAll::new(&scene, 1 << 20).unwrap();
        run_each(&scene, &traffic, &PolicyKind::ALL, NonZeroUsize::new(threads).unwrap(), notes)
    }

    #[test]
    fn results_and_their_order_do_not_depend_on_the_threads() {
        let (mut alone, mut together) = (Notes::default(), Notes::default());
        assert_eq!(go(1, &mut alone), Ok(ControlFlow::Continue(())));
        assert_eq!(go(3, &mut together), Ok(ControlFlow::Continue(())));
        assert_eq!(alone.outcomes, together.outcomes);
        let policies: Vec<PolicyKind> = alone.outcomes.iter().map(|outcome| outcome.0).collect();
        assert_eq!(policies, PolicyKind::ALL);
    }

    #[test]
    fn who_watches_can_end_it() {
        let mut notes = Notes { end_after: Some(1), ..Notes::default() };
        assert_eq!(go(1, &mut notes), Ok(ControlFlow::Break(())));
        // What was finished when it was ended comes as well: least-loaded, which runs first and is the last in order.
        let policies: Vec<PolicyKind> = notes.outcomes.iter().map(|outcome| outcome.0).collect();
        assert!(
            policies.starts_with(&[PolicyKind::Single]) && policies.is_sorted_by_key(|p| place(*p)),
            "{policies:?}"
        );
        assert!(policies.len() == 6 || policies.contains(&PolicyKind::LeastLoaded), "{policies:?}");
        let mut notes = Notes { fail_after: Some(2), ..Notes::default() };
        assert_eq!(go(2, &mut notes), Err("full".to_owned()));
        assert_eq!(notes.outcomes.len(), 2);
    }
}
