//! NICs that fail in mid-run and come back: nothing is lost, nothing counts twice, nothing old lands later.

use std::sync::atomic::Ordering;

use test_case::test_case;

use super::judge::{Judge, Landing};
use super::mock::{Trouble, Weather};
use super::program::{Plan, counter_word};
use super::rng::{Rng, Seed, seeds};
use super::world::{Caller, Setup, Step, World};
use crate::counters::{NicCounts, RxSource};
use crate::transport::heap::RESERVED;
use crate::transport::incident::Happened;
use crate::transport::nic::PeerNic;
use crate::transport::proxy::Totals;
use crate::transport::ring::{Command, Put};
use crate::transport::select::PolicyKind;
use crate::transport::wire::{Frame, Record};

/// Turns a job in trouble may take; the longest seen takes a third.
const MOST_TURNS: u64 = 400_000;

/// Random programs of each kind, unless `RAILTOP_TEST_SEEDS` asks for others.
const EVERY_DAY: u64 = 20;

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

/// Worse weather would only make it longer: that is what other tests are for.
fn bearable(weather: Weather) -> Weather {
    Weather {
        promised_depth: weather.promised_depth.max(8),
        depth: weather.depth.max(8),
        rx_depth: weather.rx_depth.max(32),
        full_percent: weather.full_percent.min(10),
        delay: weather.delay.min(16),
        ..weather
    }
}

/// Runs a random program through trouble, with or without a PE that has a single NIC; returns the sum of all counters.
fn run(seed: u64, kinds: &[Trouble], stubborn: bool, lone: bool) -> NicCounts {
    let _seed = Seed(seed);
    let mut rng = Rng::new(seed);
    let Plan { mut setup, steps, judge, counters } = Plan::any(&mut rng, 2);
    if lone {
        let pe = rng.index(setup.widths.len());
        setup.widths[pe] = 1;
        // Its NIC has to carry what two would.
        setup.weather.max_piece = setup.weather.max_piece.max(16);
    }
    setup.weather = bearable(setup.weather);
    setup.weather.nic_timeout_ms = 30;
    let mut chaos = Chaos::new(Rng::new(rng.next()), &setup.widths, kinds, stubborn);
    let mut world = World::new(&mut rng, &setup, judge);
    world.troubled = true;
    for (pe, steps) in steps.into_iter().enumerate() {
        world.program(pe, steps);
    }
    let mut turns = 0;
    while !world.callers.iter().all(Caller::is_done) {
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
    for (caller, totals) in world.callers.iter().zip(&totals) {
        all_is_told(caller, totals);
        for lane in &caller.proxy.lanes {
            assert_eq!((lane.load(), lane.ahead()), (0, 0), "bytes that nobody sends any more");
        }
    }
    totals.iter().flat_map(|totals| &totals.nics).copied().sum()
}

/// What a PE has told of its NICs.
fn told(caller: &Caller) -> Vec<Happened> {
    caller.shared.incidents().unwrap().try_iter().map(|incident| incident.what).collect()
}

/// Each failure that a PE has counted was told, with a reason, and so was its end.
fn all_is_told(caller: &Caller, totals: &Totals) {
    let told = told(caller);
    // Nobody has listened meanwhile, and not everything has room.
    if told.len() >= 64 {
        return;
    }
    let count = |is: fn(&Happened) -> bool| told.iter().filter(|what| is(what)).count() as u64;
    let counted: NicCounts = totals.nics.iter().copied().sum();
    let downs = count(|what| matches!(what, Happened::Down(why) if !why.is_empty()));
    assert_eq!(downs, counted.failures, "{told:?}");
    assert_eq!(count(|what| *what == Happened::Up), downs - counted.down, "{told:?}");
}

#[test_case(&[Trouble::Silence], false, false; "interfaces that go down")]
#[test_case(&[Trouble::Errors], false, false; "operations that fail")]
#[test_case(&[Trouble::Silence, Trouble::Errors], true, false; "NICs that cannot be opened again at once")]
#[test_case(&[Trouble::Silence, Trouble::Errors], false, true; "one PE has a single NIC")]
fn nothing_is_lost_and_nothing_counts_twice(kinds: &[Trouble], stubborn: bool, lone: bool) {
    let seeds = seeds(EVERY_DAY);
    let few = seeds.clone().count() < 20;
    let sums: NicCounts = seeds.map(|seed| run(seed, kinds, stubborn, lone)).sum();
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

/// What a NIC cannot read any more nobody may go on sending to, and what it sent goes by others; it is never used again.
#[test]
fn a_nic_that_breaks_for_good_is_gone_round() {
    let mut resent = 0;
    for seed in seeds(EVERY_DAY) {
        let _seed = Seed(seed);
        let mut rng = Rng::new(seed);
        let Plan { mut setup, steps, judge, counters } = Plan::any(&mut rng, 2);
        setup.weather = bearable(setup.weather);
        // Without a time-out nothing but the NIC's own word counts.
        setup.weather.nic_timeout_ms = [0, 30][rng.index(2)];
        let pe = rng.index(setup.widths.len());
        let nic = u16::try_from(rng.below(u64::from(setup.widths[pe]))).unwrap();
        let mut world = World::new(&mut rng, &setup, judge);
        world.troubled = true;
        for (pe, steps) in steps.into_iter().enumerate() {
            world.program(pe, steps);
        }
        for _ in 0..rng.below(400) {
            world.turn().unwrap();
        }
        world.fabric.break_nic(PeerNic { pe: u32::try_from(pe).unwrap(), nic }, "its queue has overrun");
        let mut turns = 0;
        while !world.callers.iter().all(Caller::is_done) {
            world.turn().unwrap();
            turns += 1;
            if turns >= MOST_TURNS {
                eprintln!("{}", world.fabric.describe());
                world.callers.iter().for_each(|caller| eprintln!("{}", caller.proxy.describe()));
                panic!("the programs have not ended after {turns} turns");
            }
        }
        world.fabric.conclude();
        for (heap, expected) in world.heaps.iter().zip(counters) {
            assert_eq!(heap.word(counter_word()).unwrap().load(Ordering::Acquire), expected);
        }
        world.turn_one(pe, 1).unwrap();
        assert!(!world.callers[pe].proxy.ways.is_open(nic), "it is in use");
        let told = told(&world.callers[pe]);
        let gone =
            |what: &Happened| matches!(what, Happened::Gone(why) if why.contains("its queue has overrun"));
        assert_eq!(told.iter().filter(|what| gone(what)).count(), 1, "{told:?}");
        resent +=
            world.totals().iter().flat_map(|totals| &totals.nics).map(|nic| nic.resent_ops).sum::<u64>();
    }
    assert!(resent > 20 || seeds(EVERY_DAY).count() < 20, "{resent} sent again: a dull test");
}

/// Two PEs with two NICs each, PE 0 of which puts to the other when told.
fn two_by_two(nic_timeout_ms: u64) -> (World, Step) {
    let weather = Weather { reopens: true, nic_timeout_ms, ..Weather::fair() };
    let landing = Landing { offset: 2 * RESERVED, len: 24 };
    let (policy, sources) = (PolicyKind::PairSeq, vec![RxSource::CqeLen; 2]);
    let setup = Setup { widths: vec![2; 2], weather, policy, ring: 64, heap: 3 * RESERVED, sources };
    let mut judge = Judge::new(2, landing.offset, 3 * RESERVED);
    judge.expect_bytes(1, landing, &[7; 24]);
    let mut world = World::new(&mut Rng::new(0), &setup, judge);
    world.troubled = true;
    world.program(0, [Step::Fill(RESERVED, vec![7; 24])]);
    let put = Put { dst: 1, local: RESERVED, remote: landing.offset, len: landing.len, signal: None };
    (world, Step::Post(Command::Put(put)))
}

#[test]
fn the_last_nic_that_breaks_is_named() {
    let (mut world, _) = two_by_two(0);
    world.fabric.break_nic(PeerNic { pe: 0, nic: 1 }, "the cable is out");
    world.turn_one(0, 10).unwrap();
    world.fabric.break_nic(PeerNic { pe: 0, nic: 0 }, "the other too");
    let error = world.turn_one(0, 10).unwrap_err();
    assert!(error.contains("mock0.0") && error.contains("the other too"), "{error}");
}

/// A NIC that is left alone can be fenced no more: who does not get through to it would ask for ever.
#[test]
fn the_last_nic_that_would_have_to_be_fenced_is_named() {
    let (mut world, _) = two_by_two(30);
    world.fabric.break_nic(PeerNic { pe: 1, nic: 1 }, "its queue has overrun");
    world.turn_one(1, 10).unwrap();
    let mut frame = Frame::new(0, 0);
    assert!(frame.push(&Record::Fence { nic: 0, incarnation: 0 }));
    world.fabric.forge_frame(PeerNic { pe: 1, nic: 0 }, frame.as_slice());
    let error = world.turn_one(1, 100).unwrap_err();
    assert!(error.contains("mock1.0") && error.contains("PE 0"), "{error}");
}

/// What a NIC has in flight when it breaks must not count as load for ever: a policy that looks at it would choose no more.
#[test]
fn a_policy_that_looks_at_loads_goes_on_without_a_broken_nic() {
    const LEN: u64 = 4 << 20;
    let heap = RESERVED + 2 * LEN;
    let weather = Weather { reopens: true, max_piece: LEN, ..Weather::fair() };
    let sources = vec![RxSource::CqeLen; 2];
    let setup =
        Setup { widths: vec![2; 2], weather, policy: PolicyKind::LeastLoaded, ring: 64, heap, sources };
    let judge = Judge::new(2, heap, heap);
    let mut world = World::new(&mut Rng::new(0), &setup, judge);
    world.troubled = true;
    let put = Put { dst: 1, local: RESERVED, remote: RESERVED + LEN, len: LEN, signal: None };
    let puts = |count| (0..count).map(move |_| Step::Post(Command::Put(put)));
    world.program(0, puts(4));
    // The first put's, by pair-seq; a NIC's whole load.
    let at = PeerNic { pe: 0, nic: 1 };
    world.fabric.trouble(at, Some(Trouble::Silence));
    world.turn_one(0, 1).unwrap();
    assert!(world.callers[0].proxy.lanes[1].load() >= LEN);
    world.fabric.break_nic(at, "its queue has overrun");
    world.program(0, puts(4).chain([Step::Quiet]));
    let mut turns = 0;
    while !world.callers[0].is_done() {
        world.turn().unwrap();
        turns += 1;
        assert!(turns < 20_000, "the sender hangs");
    }
}

/// What is posted while both NICs are closed must not be left behind in the queue of one that takes nothing any more.
#[test_case(false; "it never says so")]
#[test_case(true; "it breaks")]
fn what_is_posted_while_no_nic_is_open_goes_once_one_is(breaks: bool) {
    let (mut world, put) = two_by_two(30);
    let dead = PeerNic { pe: 0, nic: 1 };
    world.fabric.trouble(dead, Some(Trouble::Full));
    let proxy = &mut world.callers[0].proxy;
    (0..2).for_each(|nic| proxy.shut(nic).unwrap());
    world.program(0, (0..4).map(|_| put.clone()));
    world.turn_one(0, 1).unwrap();
    if breaks {
        world.fabric.break_nic(dead, "the cable is out");
    }
    world.program(0, (0..4).map(|_| put.clone()).chain([Step::Quiet]));
    let mut turns = 0;
    while !world.callers[0].is_done() {
        world.turn().unwrap();
        turns += 1;
        assert!(turns < 20_000, "the sender hangs");
    }
    world.fabric.conclude();
}

/// Two PEs of one NIC each could not tell anybody where they now receive, so neither is ever fenced: what fails on the way to one
/// ends the job, with the NIC's name.
#[test]
fn a_failure_that_cannot_be_survived_is_named() {
    let landing = Landing { offset: 2 * RESERVED, len: 24 };
    let (policy, sources) = (PolicyKind::PairSeq, vec![RxSource::CqeLen; 3]);
    let weather = Weather { reopens: true, nic_timeout_ms: 30, ..Weather::fair() };
    let setup = Setup { widths: vec![1, 1, 2], weather, policy, ring: 64, heap: 3 * RESERVED, sources };
    for trouble in [true, false] {
        let mut judge = Judge::new(3, landing.offset, 3 * RESERVED);
        judge.expect_bytes(0, landing, &[0; 24]);
        let mut world = World::new(&mut Rng::new(0), &setup, judge);
        let put = Put { dst: 0, local: RESERVED, remote: landing.offset, len: landing.len, signal: None };
        world.program(2, (0..8).map(|_| Step::Post(Command::Put(put))).chain([Step::Quiet]));
        let at = PeerNic { pe: 2, nic: 1 };
        if trouble {
            world.fabric.trouble(at, Some(Trouble::Errors));
        } else {
            world.turn_one(2, 1).unwrap();
            world.fabric.break_nic(at, "the cable is out");
        }
        let error = world.turn_one(2, 1000).unwrap_err();
        assert!(error.contains("mock2.1"), "{error}");
    }
}
