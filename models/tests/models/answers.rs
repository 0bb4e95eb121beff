//! Tags and answers: each question gets its own answer, once, also when an earlier one was given up.

use loom::thread;
use railtop_models::answers::Answers;
use railtop_models::slots::{Consumer, Producer, ring};
use railtop_models::sync::Arc;

use crate::check;

/// A caller's end: asks through the ring, as it does.
struct Caller {
    answers: Arc<Answers>,
    ring: Producer<2>,
}

impl Caller {
    fn take(&self) -> u32 {
        loop {
            match self.answers.take() {
                Some(tag) => return tag,
                None => thread::yield_now(),
            }
        }
    }

    fn ask(&mut self, tag: u32, question: u64) {
        assert!(self.ring.try_push(|| [u64::from(tag), question]));
    }

    /// Looks first, as a waiting caller does.
    fn await_answer(&self, tag: u32) -> u64 {
        while !self.answers.is_done(tag) {
            thread::yield_now();
        }
        self.answers.collect(tag).unwrap()
    }

    fn collect(&self, tag: u32) -> u64 {
        loop {
            match self.answers.collect(tag) {
                Some(value) => return value,
                None => thread::yield_now(),
            }
        }
    }
}

/// Answers every question with its tenfold.
fn proxy(answers: &Answers, ring: &mut Consumer<2>, questions: usize) {
    for _ in 0..questions {
        let [tag, question] = loop {
            match ring.pop() {
                Some(asked) => break asked,
                None => thread::yield_now(),
            }
        };
        assert!(answers.fill(u32::try_from(tag).unwrap(), question * 10), "it was asked");
    }
}

/// Runs `caller` against a proxy that is asked so many questions, with `tags` tags.
fn model(tags: usize, questions: usize, caller: fn(&mut Caller)) {
    check(Some(3), move || {
        let answers = Arc::new(Answers::new(tags));
        let (producer, mut consumer) = ring(4, 0);
        let fills = thread::spawn({
            let answers = Arc::clone(&answers);
            move || proxy(&answers, &mut consumer, questions)
        });
        let asks = thread::spawn({
            let answers = Arc::clone(&answers);
            move || caller(&mut Caller { answers, ring: producer })
        });
        fills.join().unwrap();
        asks.join().unwrap();
        let free = std::iter::from_fn(|| answers.take()).count();
        assert_eq!(free, tags, "every tag has come back");
    });
}

#[test]
fn a_tag_serves_one_question_after_the_other() {
    model(1, 2, |caller| {
        for question in [1, 2] {
            let tag = caller.take();
            caller.ask(tag, question);
            assert_eq!(caller.collect(tag), question * 10);
        }
    });
}

#[test]
fn answers_are_collected_in_any_order() {
    model(2, 2, |caller| {
        let [first, second] = [1, 2].map(|question| {
            let tag = caller.take();
            caller.ask(tag, question);
            tag
        });
        assert_eq!(caller.await_answer(second), 20);
        assert_eq!(caller.collect(first), 10);
    });
}

#[test]
fn the_answer_to_what_was_given_up_is_not_taken_for_another() {
    model(1, 2, |caller| {
        let tag = caller.take();
        caller.ask(tag, 1);
        caller.answers.abandon(tag, true);
        let tag = caller.take();
        caller.ask(tag, 2);
        assert_eq!(caller.collect(tag), 20);
    });
}

#[test]
fn another_thread_may_give_up_while_the_answer_comes() {
    model(1, 1, |caller| {
        let tag = caller.take();
        caller.ask(tag, 1);
        let answers = Arc::clone(&caller.answers);
        thread::spawn(move || answers.abandon(tag, true)).join().unwrap();
    });
}
