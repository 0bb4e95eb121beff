//! A thread that does one thing at a time, asked by another that does not want to wait for it without end.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::pause::Pause;

/// A thread with at most one question open.
///
/// Dropping it ends the thread as soon as it is back from what it does; nobody waits for that.
#[derive(Debug)]
pub(super) struct Errand<Q, A> {
    questions: Sender<Q>,
    answers: Receiver<A>,
    /// When the open question was asked.
    asked: Option<Instant>,
    /// The thread panicked.
    over: bool,
}

/// What to say while an errand [rests](Restarted::is_resting).
pub(super) const OVER: &str = "the thread that asks ended by a bug; it is started again after a while";

impl<Q: Send + 'static, A: Send + 'static> Errand<Q, A> {
    /// Starts the thread. `make` runs on it and returns what answers the questions.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start<F>(name: &str, make: impl FnOnce() -> F + Send + 'static) -> std::io::Result<Self>
    where
        F: FnMut(Q) -> A,
    {
        let (questions, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut work = make();
            while let Ok(question) = asked.recv() {
                if answer.send(work(question)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { questions, answers, asked: None, over: false })
    }

    /// Asks, unless an answer is still owed.
    pub(super) fn ask(&mut self, question: Q) {
        if self.asked.is_some() {
            return;
        }
        match self.questions.send(question) {
            Ok(()) => self.asked = Some(Instant::now()),
            Err(_) => self.over = true,
        }
    }

    /// The answer, waited for until `until`. `None` when it is late, there was no question, or nobody is there to answer.
    pub(super) fn answer(&mut self, until: Instant) -> Option<A> {
        self.asked?;
        match self.answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(answer) => {
                self.asked = None;
                Some(answer)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.over = true;
                None
            }
        }
    }

    /// Whether the thread is gone, as the last question or the last look for an answer found. Only a panic brings that about,
    /// and no answer will come.
    fn is_over(&self) -> bool {
        self.over
    }

    /// For how long the open question has waited.
    pub(super) fn open_for(&self) -> Option<Duration> {
        self.asked.map(|at| at.elapsed())
    }
}

/// An errand whose thread is started when something is asked, and after a panic again once it has rested.
#[derive(Debug)]
pub(super) struct Restarted<Q, A> {
    errand: Option<Errand<Q, A>>,
    /// Since the thread panicked.
    pause: Option<Pause>,
}

impl<Q, A> Default for Restarted<Q, A> {
    fn default() -> Self {
        Self { errand: None, pause: None }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Restarted<Q, A> {
    /// Asks, unless an answer is still owed; whether there is somebody to ask. `start` makes the errand.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn ask(
        &mut self,
        question: Q,
        start: impl FnOnce() -> std::io::Result<Errand<Q, A>>,
    ) -> std::io::Result<bool> {
        self.pause = self.pause.filter(Pause::is_on);
        if self.is_resting() {
            return Ok(false);
        }
        let errand = match self.errand.take() {
            Some(errand) => errand,
            None => start()?,
        };
        self.errand.insert(errand).ask(question);
        Ok(true)
    }

    /// As [`Errand::answer`].
    pub(super) fn answer(&mut self, until: Instant) -> Option<A> {
        let errand = self.errand.as_mut()?;
        let answer = errand.answer(until);
        if errand.is_over() {
            (self.errand, self.pause) = (None, Some(Pause::begin()));
        }
        answer
    }

    /// Whether the thread panicked, and nobody has asked since it has rested.
    pub(super) fn is_resting(&self) -> bool {
        self.pause.is_some()
    }

    /// As [`Errand::open_for`].
    pub(super) fn open_for(&self) -> Option<Duration> {
        self.errand.as_ref()?.open_for()
    }
}

#[cfg(test)]
impl<Q, A> Restarted<Q, A> {
    /// One whose questions this errand answers.
    pub(super) fn of(errand: Errand<Q, A>) -> Self {
        Self { errand: Some(errand), pause: None }
    }

    /// Whether there is a thread.
    pub(super) fn is_there(&self) -> bool {
        self.errand.is_some()
    }

    /// It has rested for long enough.
    pub(super) fn end_rest(&mut self) {
        self.pause = Some(Pause::over());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_is_found_later_and_nothing_is_asked_meanwhile() {
        let (allow, allowed) = mpsc::channel::<()>();
        let mut errand = Errand::start("test", move || {
            move |n: u32| {
                let _closed = allowed.recv();
                n * 2
            }
        })
        .unwrap();
        assert_eq!(errand.answer(Instant::now()), None, "nothing was asked");
        errand.ask(4);
        assert_eq!(errand.answer(Instant::now()), None);
        assert!(errand.open_for().is_some());
        errand.ask(100);
        allow.send(()).unwrap();
        let soon = || Instant::now() + Duration::from_secs(60);
        assert_eq!(errand.answer(soon()), Some(8));
        assert_eq!(errand.open_for(), None);
        errand.ask(5);
        allow.send(()).unwrap();
        assert_eq!(errand.answer(soon()), Some(10));
    }

    #[test]
    fn a_panic_is_not_waited_for_and_is_found_out() {
        let mut errand = Errand::start("test", || |n: u32| assert_eq!(n, 1, "a bug")).unwrap();
        let long = || Instant::now() + Duration::from_secs(600);
        errand.ask(1);
        assert_eq!((errand.answer(long()), errand.is_over()), (Some(()), false));
        errand.ask(2);
        assert_eq!((errand.answer(long()), errand.is_over()), (None, true));

        // Before the first question, or while that waits.
        let unborn = || -> fn(u32) { panic!("a bug before all questions") };
        let mut errand = Errand::start("test", unborn).unwrap();
        errand.ask(1);
        assert_eq!((errand.answer(long()), errand.is_over()), (None, true));
    }
}
