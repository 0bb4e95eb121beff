//! A thread that does one thing at a time, asked by another that does not want to wait for it without end.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// A thread with at most one question open.
///
/// Dropping it ends the thread as soon as it is back from what it does; nobody waits for that.
#[derive(Debug)]
pub(super) struct Errand<Q, A> {
    questions: Sender<Q>,
    answers: Receiver<A>,
    /// When the open question was asked.
    asked: Option<Instant>,
}

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
        Ok(Self { questions, answers, asked: None })
    }

    /// Asks, unless an answer is still owed.
    pub(super) fn ask(&mut self, question: Q) {
        if self.asked.is_none() && self.questions.send(question).is_ok() {
            self.asked = Some(Instant::now());
        }
    }

    /// The answer, waited for until `until`. `None` when it is late, or there was no question.
    pub(super) fn answer(&mut self, until: Instant) -> Option<A> {
        self.asked?;
        match self.answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(answer) => {
                self.asked = None;
                Some(answer)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// For how long the open question has waited.
    pub(super) fn open_for(&self) -> Option<Duration> {
        self.asked.map(|at| at.elapsed())
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
}
