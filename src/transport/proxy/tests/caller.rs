//! Who calls: a program of steps, posted as far as ring and waits allow.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::fetched::{Fetched, locked};
use super::judge::{Landing, bytes};
use super::mock::MockNic;
use crate::transport::atomic::{Atomic, AtomicOp};
use crate::transport::fault::Fault;
use crate::transport::heap::Heap;
use crate::transport::proxy::{Proxy, Shared};
use crate::transport::ring::{Command, Producer};

/// What a caller does next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Writes into its own heap, a multiple of 8 bytes.
    Fill(u64, Vec<u8>),
    /// Hands a command to the proxy.
    Post(Command),
    /// The same with a fetch or a get, whose answer is waited for later: its tag is chosen here. A compare-and-swap compares
    /// with what this PE has last seen in the word.
    Ask(Command),
    /// Waits for all answers.
    Answers,
    /// Quiet, and waits for it.
    Quiet,
    /// Quiet about one PE, and waits for it.
    QuietWith(u32),
    /// Quiet, without waiting: the next steps follow at once.
    QuietAhead,
    /// By now a PE's heap has these bytes.
    Holds(usize, Landing, Vec<u8>),
    /// By now a signal has come to this word of a PE.
    Signalled(usize, u64),
}

pub(super) struct Caller {
    pub(super) proxy: Proxy<MockNic>,
    pub(super) fault: Fault,
    pub(super) shared: Arc<Shared>,
    pub(super) producer: Producer,
    program: VecDeque<Step>,
    tickets: u64,
    waits: bool,
    /// What was asked, by tag.
    asked: Vec<(u32, Command)>,
    /// The last value seen, by PE and offset of the word.
    seen: HashMap<(u32, u64), u64>,
    fetched: Arc<Mutex<Fetched>>,
}

impl Caller {
    /// Answers to fetches go to `fetched`.
    pub(super) fn new(
        (proxy, shared): (Proxy<MockNic>, Arc<Shared>),
        producer: Producer,
        fault: Fault,
        fetched: Arc<Mutex<Fetched>>,
    ) -> Self {
        Self {
            proxy,
            fault,
            shared,
            producer,
            program: VecDeque::new(),
            tickets: 0,
            waits: false,
            asked: Vec::new(),
            seen: HashMap::new(),
            fetched,
        }
    }

    pub(super) fn extend(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.program.extend(steps);
    }

    /// Whether the program has ended, its quiets are done and its questions answered.
    pub(super) fn is_done(&self) -> bool {
        self.program.is_empty() && self.asked.is_empty() && self.shared.quiet_done() == self.tickets
    }

    /// Goes on with the program as far as ring, quiets and answers let it.
    pub(super) fn step(&mut self, me: usize, heaps: &[Arc<Heap>]) {
        self.hear_answers();
        while !self.waits || self.shared.quiet_done() >= self.tickets {
            self.waits = false;
            let Some(step) = self.program.front() else { return };
            if !self.go_on_with(&step.clone(), me, heaps) {
                return;
            }
            self.program.pop_front();
        }
    }

    /// Takes one step; `false` when it is too early for it.
    fn go_on_with(&mut self, step: &Step, me: usize, heaps: &[Arc<Heap>]) -> bool {
        match step {
            Step::Fill(offset, bytes) => heaps[me].write(*offset, bytes).unwrap(),
            Step::Post(command) => return self.producer.try_push(*command),
            Step::Ask(command) => return self.ask(*command),
            Step::Answers => return self.asked.is_empty(),
            Step::Quiet => return self.quiet(None, true),
            Step::QuietWith(pe) => return self.quiet(Some(*pe), true),
            Step::QuietAhead => return self.quiet(None, false),
            Step::Holds(pe, landing, content) => {
                let there = bytes(&heaps[*pe], landing.offset, landing.len);
                assert!(
                    there == *content,
                    "PE {pe} does not hold at {landing:?} what PE {me} was told it does"
                );
            }
            Step::Signalled(pe, word) => {
                let there = heaps[*pe].word(*word).unwrap().load(Ordering::Acquire);
                assert_ne!(there, 0, "PE {me} was told too early that PE {pe} has its signal at {word}");
            }
        }
        true
    }

    fn quiet(&mut self, pe: Option<u32>, waits: bool) -> bool {
        let pushed = self.producer.try_push(Command::Quiet { ticket: self.tickets + 1, pe });
        if pushed {
            self.tickets += 1;
            self.waits = waits;
        }
        pushed
    }

    fn ask(&mut self, mut command: Command) -> bool {
        let answers = self.shared.answers();
        let Some(free) = answers.take() else { return false };
        match &mut command {
            Command::Atomic { dst, atomic, tag } => {
                *tag = Some(free);
                if atomic.op == AtomicOp::CompareSwap {
                    atomic.compare = self.seen.get(&(*dst, atomic.offset)).copied().unwrap_or(0);
                }
            }
            Command::Get { tag, .. } => *tag = Some(free),
            other => panic!("{other:?} has no answer"),
        }
        let pushed = self.producer.try_push(command);
        if pushed {
            self.asked.push((free, command));
        } else {
            answers.abandon(free, false);
        }
        pushed
    }

    fn hear_answers(&mut self) {
        let Self { asked, shared, seen, fetched, .. } = self;
        asked.retain(|(tag, command)| {
            let Some(old) = shared.answers().collect(*tag) else { return true };
            if let Command::Atomic { dst, atomic, .. } = command {
                let Atomic { offset, op, operand, compare, .. } = *atomic;
                let swapped = op == AtomicOp::CompareSwap && old == compare;
                seen.insert((*dst, offset), if swapped { operand } else { old });
                locked(fetched).note(*dst as usize, atomic, old);
            }
            false
        });
    }
}
