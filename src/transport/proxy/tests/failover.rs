//! NICs that fail in mid-run and come back: nothing is lost, nothing counts twice, nothing old lands later.

use std::ops::Range;
use std::sync::atomic::Ordering;

use test_case::test_case;

use super::judge::{Judge, Landing};
use super::mock::{Trouble, Weather};
use super::program::{Plan, counter_word};
use super::rng::{Rng, Seed};
use super::world::{Setup, Step, World};
use crate::counters::{NicCounts, RxSource};
use crate::transport::heap::RESERVED;
use crate::transport::nic::PeerNic;
use crate::transport::ring::{Command, Put};
use crate::transport::select::PolicyKind;

/// Turns a job in trouble may take; the longest seen takes a third.
const MOST_TURNS: u64 = 400_000;

/// At most one NIC of each PE is in trouble at a time, so that there is always some way.
struct Chaos {
    rng: Rng,
    widths: Vec<u16>,
    kinds: Vec<Trouble>,
    /// By PE: the NIC in trouble, and the turn in which that ends.
    now: Vec<Option<(u16, u64)>>,
    turn: u64,
    stubborn: bool,
}

impl Chaos {
    fn new(rng: Rng, widths: &[u16], kinds: &[Trouble], stubborn: bool) -> Self {
        Self {
            rng,
            widths: widths.to_vec(),
            kinds: kinds.to_vec(),
            now: vec![None; widths.len()],
            turn: 0,
            stubborn,
        }
    }

    /// Makes trouble, and ends it, by chance.
    fn step(&mut self, world: &World) {
        self.turn += 1;
        for (pe, slot) in (0..).zip(&mut self.now) {
            match *slot {
                Some((nic, until)) if until <= self.turn => {
                    world.fabric.trouble(PeerNic { pe, nic }, None);
                    *slot = None;
                }
                None if self.rng.below(200) == 0 => {
                    let nic = u16::try_from(self.rng.below(u64::from(self.widths[pe as usize]))).unwrap();
                    let at = PeerNic { pe, nic };
                    world.fabric.trouble(at, Some(self.kinds[self.rng.index(self.kinds.len())]));
                    if self.stubborn {
                        world.fabric.make_stubborn(at, u32::try_from(self.rng.below(4)).unwrap());
                    }
                    *slot = Some((nic, self.turn + self.rng.between(50, 3000)));
                }
                _ => {}
            }
        }
    }

    fn end(&mut self, world: &World) {
        for (pe, slot) in (0..).zip(&mut self.now) {
            if let Some((nic, _)) = slot.take() {
                world.fabric.trouble(PeerNic { pe, nic }, None);
            }
        }
    }
}

/// Which random programs: `RAILTOP_TEST_SEEDS` (`500`, or `92..93`), or few enough for every day.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("RAILTOP_TEST_SEEDS") else { return 0..20 };
    let (first, end) = text.split_once("..").unwrap_or(("0", &text));
    first.parse().expect("a seed")..end.parse().expect("the seed after the last")
}

/// Runs a random program through trouble; returns the sum of all counters.
fn run(seed: u64, kinds: &[Trouble], stubborn: bool) -> NicCounts {
    let _seed = Seed(seed);
    let mut rng = Rng::new(seed);
    let Plan { mut setup, steps, judge, counters } = Plan::any(&mut rng, 2);
    setup.weather.nic_timeout_ms = 30;
    // Worse weather would only make it longer: that is what other tests are for.
    let weather = &mut setup.weather;
    weather.promised_depth = weather.promised_depth.max(8);
    weather.depth = weather.depth.max(8);
    weather.rx_depth = weather.rx_depth.max(32);
    weather.full_percent = weather.full_percent.min(10);
    weather.delay = weather.delay.min(16);
    let mut chaos = Chaos::new(Rng::new(rng.next()), &setup.widths, kinds, stubborn);
    let mut world = World::new(&mut rng, &setup, judge);
    world.troubled = true;
    for (pe, steps) in steps.into_iter().enumerate() {
        world.program(pe, steps);
    }
    let mut turns = 0;
    while !world.callers.iter().all(super::world::Caller::is_done) {
        chaos.step(&world);
        world.turn().unwrap();
        turns += 1;
        if turns >= MOST_TURNS {
            eprintln!("{}", world.fabric.describe());
            world.callers.iter().for_each(|caller| eprintln!("{}", caller.proxy.describe()));
            panic!("the programs have not ended after {turns} turns");
        }
    }
    world.fabric.conclude();
    // Now everything that was held up comes through, and every NIC is used again.
    chaos.end(&world);
    let mut calm = 0;
    while calm < 64 * world.callers.len() {
        world.turn().unwrap();
        turns += 1;
        let all_up = world.callers.iter().all(|caller| caller.proxy.ways.all_open());
        calm = if world.fabric.is_empty() && all_up { calm + 1 } else { 0 };
        assert!(turns < 2 * MOST_TURNS, "some NIC has not come back, or there is no end to the messages");
    }
    world.fabric.conclude();
    for (heap, expected) in world.heaps.iter().zip(counters) {
        assert_eq!(
            heap.word(counter_word()).unwrap().load(Ordering::Acquire),
            expected,
            "signals that are added"
        );
    }
    let totals = world.totals();
    totals.iter().flat_map(|totals| &totals.nics).copied().sum()
}

#[test_case(&[Trouble::Silence], false; "interfaces that go down")]
#[test_case(&[Trouble::Errors], false; "operations that fail")]
#[test_case(&[Trouble::Silence, Trouble::Errors], true; "NICs that cannot be opened again at once")]
fn nothing_is_lost_and_nothing_counts_twice(kinds: &[Trouble], stubborn: bool) {
    let seeds = seeds();
    let few = seeds.clone().count() < 20;
    let sums: NicCounts = seeds.map(|seed| run(seed, kinds, stubborn)).sum();
    assert_eq!(sums.down, 0, "every NIC is in use again");
    // So few need not have met with much.
    if few {
        return;
    }
    assert!(sums.fences > 20 && sums.failures > 5, "{sums:?}: a dull test");
    assert!(sums.resent_ops > 20, "{sums:?}: a dull test");
}

/// A PE that only receives, and one of whose NICs is dead from the start: it has nothing of its own to be suspicious about,
/// so its answers must find the way by themselves.
#[test]
fn a_receiver_s_dead_nic_does_not_stop_a_lone_sender() {
    for (dead, width) in [(0, 2), (1, 2), (0, 3), (2, 3)] {
        for seed in 0..4 {
            let _seed = Seed(seed);
            let mut rng = Rng::new(seed);
            let weather = Weather { reopens: true, nic_timeout_ms: 30, ..Weather::fair() };
            let landing = Landing { offset: 2 * RESERVED, len: 24 };
            let setup = Setup {
                widths: vec![width; 2],
                weather,
                policy: PolicyKind::PairSeq,
                ring: 8,
                heap: 3 * RESERVED,
                sources: vec![RxSource::CqeLen; 2],
            };
            let mut judge = Judge::new(2, landing.offset, 3 * RESERVED);
            judge.expect_bytes(1, landing, &[7; 24]);
            let mut world = World::new(&mut rng, &setup, judge);
            world.troubled = true;
            world.fabric.trouble(PeerNic { pe: 1, nic: dead }, Some(Trouble::Silence));
            let put = Put { dst: 1, local: RESERVED, remote: landing.offset, len: landing.len, signal: None };
            world.program(0, [Step::Fill(RESERVED, vec![7; 24])]);
            world.program(0, (0..40).map(|_| Step::Post(Command::Put(put))).chain([Step::Quiet]));
            let mut turns = 0;
            while !world.callers[0].is_done() {
                world.turn().unwrap();
                turns += 1;
                assert!(turns < 20_000, "NIC {dead} of {width}: the sender hangs");
            }
            world.fabric.conclude();
        }
    }
}
