//! Random programs, and what they must lead to.

use super::judge::{Judge, Landing};
use super::mock::Weather;
use super::rng::Rng;
use super::world::{Setup, Step};
use crate::counters::RxSource;
use crate::transport::answers::NOBODY;
use crate::transport::heap::RESERVED;
use crate::transport::ring::{Command, Put};
use crate::transport::select::PolicyKind;
use crate::transport::signal::{Signal, SignalOp};

/// Where sources lie; after a quiet they are overwritten.
const SOURCES: u64 = RESERVED;
const SOURCE_BYTES: u64 = 2048;
/// A word that many signals are added to.
const COUNTER: u64 = SOURCES + SOURCE_BYTES;
/// One word per signal.
const WORDS: u64 = COUNTER + 8;
/// From here on puts land, each in a place of its own.
const LANDINGS: u64 = 2 * RESERVED + SOURCE_BYTES;
const HEAP: u64 = 12 * RESERVED;

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

struct Planner<'a> {
    rng: &'a mut Rng,
    judge: Judge,
    pes: usize,
    next_word: Vec<u64>,
    next_landing: Vec<u64>,
    counters: Vec<u64>,
}

impl Plan {
    /// PEs have at least `narrowest` NICs.
    pub(super) fn any(rng: &mut Rng, narrowest: u64) -> Self {
        let pes = usize::try_from(rng.between(2, 5)).unwrap();
        let width = |rng: &mut Rng| u16::try_from(rng.between(narrowest, 4)).unwrap();
        let same = width(rng);
        let uneven = rng.chance(25);
        let widths = (0..pes).map(|_| if uneven { width(rng) } else { same }).collect();
        let weather = Weather::any(rng);
        let sources = (0..pes).map(|_| source(rng, weather)).collect();
        let policy = PolicyKind::ALL[rng.index(PolicyKind::ALL.len())];
        let setup = Setup { widths, weather, policy, ring: 1 << rng.below(8), heap: HEAP, sources };
        let mut planner = Planner {
            judge: Judge::new(pes, LANDINGS, HEAP),
            pes,
            next_word: vec![WORDS; pes],
            next_landing: vec![LANDINGS; pes],
            counters: vec![0; pes],
            rng,
        };
        let steps = (0..pes).map(|me| planner.program(me)).collect();
        Self { setup, steps, judge: planner.judge, counters: planner.counters }
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

impl Planner<'_> {
    fn program(&mut self, me: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut used = 0;
        for _ in 0..self.rng.below(50) {
            let dst = (me + 1 + self.rng.index(self.pes - 1)) % self.pes;
            let len = if self.rng.chance(10) { 0 } else { self.rng.between(1, 200) };
            match self.rng.below(10) {
                0..4 => self.put(&mut steps, &mut used, dst, len, false),
                4..8 => self.put(&mut steps, &mut used, dst, len, true),
                8 => {
                    let value = self.rng.below(1000);
                    self.counters[dst] += value;
                    let signal = Signal { offset: COUNTER, op: SignalOp::Add, value };
                    let dst = u32::try_from(dst).unwrap();
                    // By itself, as an atomic, or as one whose old value is sent back.
                    steps.push(Step::Post(match self.rng.below(3) {
                        0 => Command::Signal { dst, signal },
                        1 => Command::Atomic { dst, atomic: signal.into(), tag: None },
                        _ => Command::Atomic { dst, atomic: signal.into(), tag: Some(NOBODY) },
                    }));
                }
                _ if self.rng.chance(30) => steps.push(Step::QuietAhead),
                _ => Self::quiet(&mut steps, &mut used),
            }
        }
        Self::quiet(&mut steps, &mut used);
        steps
    }

    /// After a quiet the sources belong to the caller again, who writes something else there at once.
    fn quiet(steps: &mut Vec<Step>, used: &mut u64) {
        steps.push(Step::Quiet);
        steps.push(Step::Fill(SOURCES, vec![0xee; usize::try_from(SOURCE_BYTES).unwrap()]));
        *used = 0;
    }

    fn put(&mut self, steps: &mut Vec<Step>, used: &mut u64, dst: usize, len: u64, signalled: bool) {
        let room = (len + 8).next_multiple_of(8);
        if *used + room > SOURCE_BYTES {
            Self::quiet(steps, used);
        }
        let content: Vec<u8> = (0..room).map(|_| self.rng.next().to_le_bytes()[0]).collect();
        // Sources and landings start anywhere, and landings touch each other.
        let skew = self.rng.below(8);
        let landing = Landing { offset: self.next_landing[dst], len };
        self.next_landing[dst] += len;
        assert!(self.next_landing[dst] <= HEAP, "the plan needs a larger heap");
        let start = usize::try_from(skew).unwrap();
        let payload = &content[start..][..usize::try_from(len).unwrap()];
        self.judge.expect_bytes(dst, landing, payload);
        let source = SOURCES + *used;
        steps.push(Step::Fill(source, content.clone()));
        let signal = signalled.then(|| {
            let offset = self.next_word[dst];
            self.next_word[dst] += 8;
            assert!(self.next_word[dst] <= LANDINGS, "the plan needs more words");
            let value = self.rng.below(u64::MAX - 1) + 1;
            self.judge.expect_signal(dst, offset, value, landing);
            let op = if self.rng.chance(50) { SignalOp::Set } else { SignalOp::Add };
            Signal { offset, op, value }
        });
        let dst = u32::try_from(dst).unwrap();
        let put = Put { dst, local: source + skew, remote: landing.offset, len, signal };
        steps.push(Step::Post(Command::Put(put)));
        *used += room;
    }
}
