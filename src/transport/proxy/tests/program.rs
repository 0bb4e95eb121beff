//! Random programs, and what they must lead to.

mod changes;
mod fences;
mod gets;
mod puts;

use super::judge::{Judge, Landing};
use super::mock::Weather;
use super::rng::Rng;
use super::world::{Setup, Step};
use crate::counters::RxSource;
use crate::transport::heap::RESERVED;
use crate::transport::ring::Command;
use crate::transport::select::{PolicyKind, STRIPE_FROM};
use changes::Words;

/// Where sources lie; after a quiet they are overwritten.
const SOURCES: u64 = RESERVED;
const SOURCE_BYTES: u64 = 2048;
/// A word that many signals are added to.
const COUNTER: u64 = SOURCES + SOURCE_BYTES;
/// Words that fetches and atomics change.
const CHANGED: u64 = COUNTER + 8;
/// One word per signal.
const WORDS: u64 = CHANGED + Words::BYTES;
/// What nobody writes to: gets read from here, and long puts have their sources here.
const KNOWN: u64 = 3 * RESERVED;
/// Longest put or get that is not long enough to be striped.
const SHORT: u64 = 200;

/// A job by chance: its setup, what each PE does, what must come of it.
pub(super) struct Plan {
    pub(super) setup: Setup,
    pub(super) steps: Vec<Vec<Step>>,
    pub(super) judge: Judge,
    /// What the counter word of each PE must come to.
    pub(super) counters: Vec<u64>,
}

/// Where the counter lies.
pub(super) fn counter_word() -> u64 {
    COUNTER
}

/// Something that a quiet is to settle.
struct Unsettled {
    /// The PE that it was asked of.
    with: usize,
    /// The source of a put, which is the caller's again then.
    source: Option<Landing>,
    /// What must be where by then.
    there: Option<(usize, Landing, Vec<u8>)>,
    /// The PE's word that must have its signal by then.
    word: Option<u64>,
}

struct Planner<'a> {
    rng: &'a mut Rng,
    judge: Judge,
    /// Per PE, what lies at [`KNOWN`].
    known: Vec<Vec<u8>>,
    next_word: Vec<u64>,
    next_landing: Vec<u64>,
    counters: Vec<u64>,
    words: Words,
    /// Operations that may still be long enough to be striped.
    long_ones: u64,
    /// The PE whose program is being written.
    me: usize,
    steps: Vec<Step>,
    /// Of its sources.
    used: u64,
    unsettled: Vec<Unsettled>,
}

impl Plan {
    /// PEs have at least `narrowest` NICs.
    pub(super) fn any(rng: &mut Rng, narrowest: u64) -> Self {
        let pes = usize::try_from(rng.between(2, 5)).unwrap();
        let width = |rng: &mut Rng| u16::try_from(rng.between(narrowest, 4)).unwrap();
        let same = width(rng);
        let uneven = rng.chance(25);
        let widths = (0..pes).map(|_| if uneven { width(rng) } else { same }).collect();
        let mut weather = Weather::any(rng);
        let sources = (0..pes).map(|_| source(rng, weather)).collect();
        let policy = PolicyKind::ALL[rng.index(PolicyKind::ALL.len())];
        let long_ones = if policy == PolicyKind::Stripe { rng.below(4) } else { 0 };
        if long_ones > 0 {
            // As in the other jobs, an operation is up to some dozens of pieces.
            weather.max_piece = rng.between(8 << 10, 40 << 10);
        }
        let mut planner = Planner::new(rng, pes, long_ones);
        let steps = (0..pes).map(|me| planner.program(me)).collect();
        let Planner { mut judge, words, next_landing, counters, .. } = planner;
        words.conclude(&mut judge);
        let end = next_landing.into_iter().max().unwrap_or(0);
        let heap = end.next_multiple_of(RESERVED);
        Self {
            setup: Setup { widths, weather, policy, ring: 1 << rng.below(8), heap, sources },
            steps,
            judge,
            counters,
        }
    }
}

/// A way to know received bytes that works with these NICs.
fn source(rng: &mut Rng, weather: Weather) -> RxSource {
    match rng.below(3) {
        0 if weather.says_len => RxSource::CqeLen,
        1 if weather.wide => RxSource::ImmLen,
        _ => RxSource::Ledger,
    }
}

impl<'a> Planner<'a> {
    fn new(rng: &'a mut Rng, pes: usize, long_ones: u64) -> Self {
        let mut judge = Judge::new(pes, KNOWN, KNOWN);
        let size = if long_ones > 0 { longest() + 64 } else { 2 * SHORT };
        let known: Vec<_> = (0..pes).map(|_| rng.bytes(size)).collect();
        (0..).zip(&known).for_each(|(pe, known)| judge.give(pe, KNOWN, known));
        Self {
            words: Words::new(rng, pes, &mut judge),
            rng,
            judge,
            known,
            next_word: vec![WORDS; pes],
            next_landing: vec![KNOWN + size; pes],
            counters: vec![0; pes],
            long_ones,
            me: 0,
            steps: Vec::new(),
            used: 0,
            unsettled: Vec::new(),
        }
    }

    fn program(&mut self, me: usize) -> Vec<Step> {
        self.me = me;
        for _ in 0..self.rng.below(40) {
            let dst = self.any_other();
            match self.rng.below(20) {
                0..5 => self.put_somewhere(dst, false),
                5..9 => self.put_somewhere(dst, true),
                9 => self.count(dst),
                10 => self.change(dst),
                11..13 => self.fetch(dst),
                13..15 => self.get(dst),
                15 => self.fenced_place(dst),
                16 => self.fenced_signal(dst),
                17 => self.fenced_get(dst),
                18 => self.quiet_with(dst),
                _ if self.rng.chance(30) => self.steps.push(Step::QuietAhead),
                _ => self.quiet(),
            }
        }
        self.quiet();
        std::mem::take(&mut self.steps)
    }

    fn any_other(&mut self) -> usize {
        (self.me + 1 + self.rng.index(self.known.len() - 1)) % self.known.len()
    }

    fn any_len(&mut self) -> u64 {
        if self.long_ones > 0 && self.rng.chance(10) {
            self.long_ones -= 1;
            return self.rng.between(STRIPE_FROM, longest());
        }
        if self.rng.chance(10) { 0 } else { self.rng.between(1, SHORT) }
    }

    /// Landings touch each other, and start anywhere.
    fn landing(&mut self, pe: usize, len: u64) -> Landing {
        let offset = self.next_landing[pe];
        self.next_landing[pe] += len;
        Landing { offset, len }
    }

    fn post(&mut self, command: Command) {
        self.steps.push(Step::Post(command));
    }

    fn quiet(&mut self) {
        self.steps.push(Step::Quiet);
        self.settle(None);
        self.used = 0;
    }

    fn quiet_with(&mut self, pe: usize) {
        self.steps.push(Step::QuietWith(number(pe)));
        self.settle(Some(pe));
    }

    /// After a quiet everything is where it is to be, and the sources belong to the caller again, who writes something else
    /// there at once.
    fn settle(&mut self, with: Option<usize>) {
        for Unsettled { with, source, there, word } in
            self.unsettled.extract_if(.., |one| with.is_none_or(|pe| pe == one.with))
        {
            self.steps.extend(there.map(|(pe, landing, content)| Step::Holds(pe, landing, content)));
            self.steps.extend(word.map(|word| Step::Signalled(with, word)));
            if let Some(Landing { offset, len }) = source {
                self.steps.push(Step::Fill(offset, vec![0xee; usize::try_from(len).unwrap()]));
            }
        }
    }
}

/// Longest put or get.
fn longest() -> u64 {
    STRIPE_FROM + 5000
}

/// A PE as commands name it.
fn number(pe: usize) -> u32 {
    u32::try_from(pe).unwrap()
}
