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

    /// A run has ended, the next one in the order of the policies.
    ///
    /// # Errors
    /// Ends the others.
    fn done(&mut self, outcome: &Outcome) -> Result<(), Self::Error>;
}

/// Runs `traffic` in `scene` under each of `policies`, `threads` at a time. [`ControlFlow::Break`] when the watcher has ended it.
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
    let order = longest_first(policies);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let posted: Vec<AtomicU64> = policies.iter().map(|_| AtomicU64::new(0)).collect();
    let work = |tell: &mpsc::Sender<(usize, Outcome)>| {
        while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = run(scene, traffic, policies[index], &mut |puts| {
                posted[index].store(puts, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let Ok(outcome) = outcome else { return };
            posted[index].store(outcome.puts, Ordering::Relaxed);
            if tell.send((index, outcome)).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for _ in 0..threads.get().min(policies.len()) {
            let (tell, work) = (tell.clone(), &work);
            scope.spawn(move || work(&tell));
        }
        drop(tell);
        let result = collect(&told, policies, watcher, |is_ended| {
            let begun = order.iter().take(next.load(Ordering::Relaxed));
            let running = begun.filter(|&&index| !is_ended(index)).map(|&index| policies[index]).collect();
            (running, posted.iter().map(|posted| posted.load(Ordering::Relaxed)).sum())
        });
        // However it has ended, nobody works on for a result that nobody takes.
        stop.store(true, Ordering::Relaxed);
        result
    })
}

/// Hands the outcomes over in order; `look` says, given what has ended, what is being run and how many puts have been posted.
fn collect<W: Watcher>(
    told: &mpsc::Receiver<(usize, Outcome)>,
    policies: &[PolicyKind],
    watcher: &mut W,
    look: impl Fn(&dyn Fn(usize) -> bool) -> (Vec<PolicyKind>, u64),
) -> Result<ControlFlow<()>, W::Error> {
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
        let (running, puts) = look(&|index| index < handed || ended[index].is_some());
        if watcher.look(&running, puts)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
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
        assert!((1..6).contains(&notes.outcomes.len()), "{:?}", notes.outcomes);
        let mut notes = Notes { fail_after: Some(2), ..Notes::default() };
        assert_eq!(go(2, &mut notes), Err("full".to_owned()));
        assert_eq!(notes.outcomes.len(), 2);
    }
}
