//! Peers that break the protocol and NICs that fail: the proxy stops and says who it was; it never panics.

use test_case::test_case;

use super::judge::{Judge, bytes};
use super::mock::Weather;
use super::rng::{Rng, Seed};
use super::world::{Setup, Step, World};
use crate::counters::RxSource;
use crate::transport::group::WINDOW;
use crate::transport::heap::RESERVED;
use crate::transport::nic::PeerNic;
use crate::transport::proxy::Driver;
use crate::transport::ring::{Command, Put};
use crate::transport::select::PolicyKind;
use crate::transport::signal::{Signal, SignalOp};
use crate::transport::wire::{Action, Close, Data, Frame, Immediate, Progress, Record, Released};

const HEAP: u64 = 2 * RESERVED;
const VICTIM: PeerNic = PeerNic { pe: 0, nic: 1 };
const LIAR: u16 = 1;

fn world(seed: u64) -> World {
    world_in(seed, Weather::fair())
}

fn world_in(seed: u64, weather: Weather) -> World {
    let mut rng = Rng::new(seed);
    let (policy, sources) = (PolicyKind::PairSeq, vec![RxSource::Ledger; 3]);
    let setup = Setup { widths: vec![2; 3], weather, policy, ring: 8, heap: HEAP, sources };
    World::new(&mut rng, &setup, Judge::new(3, RESERVED, HEAP))
}

fn close(seq: u64, pieces: u32, signal: Option<Signal>) -> Record<'static> {
    let action = signal.map(|signal| Action::Change(signal.into()));
    Record::Close(Close { seq, pieces, action, flush: false, again: false, ledger: Vec::new() })
}

/// A frame with this record, from the liar.
fn framed(record: &Record<'_>) -> Vec<u8> {
    let mut frame = Frame::new(LIAR, 0);
    assert!(frame.push(record));
    frame.as_slice().to_vec()
}

fn data(seq: u64, remote: u64, bytes: &'static [u8]) -> Record<'static> {
    Record::Data(Data { seq, remote, action: None, again: false, bytes })
}

fn action(action: Action) -> Record<'static> {
    Record::Close(Close {
        seq: 0,
        pieces: 0,
        action: Some(action),
        flush: false,
        again: false,
        ledger: Vec::new(),
    })
}

fn set(offset: u64) -> Signal {
    Signal { offset, op: SignalOp::Set, value: 1 }
}

fn landing(src: u16, group: u16) -> u64 {
    Immediate { src, group, len: 8 }.pack()
}

/// What PE 0 says of these frames and landings.
fn verdict(world: &mut World, records: &[Record<'_>], landings: &[u64]) -> String {
    for record in records {
        world.fabric.forge_frame(VICTIM, &framed(record));
    }
    for &immediate in landings {
        world.fabric.forge_landing(VICTIM, immediate, 8);
    }
    world.turn_one(0, 100).expect_err("the proxy goes on")
}

#[test_case(&[close(3, 0, None), close(3, 0, None)], &[], "PE 1: group 3"; "closed twice")]
#[test_case(&[close(0, 2, None), close(0, 2, None)], &[], "PE 1: group 0"; "closed twice while open")]
#[test_case(&[close(WINDOW, 0, None)], &[], "PE 1: group 1024 lies outside"; "close beyond the window")]
#[test_case(&[close(u64::MAX, 0, None)], &[], "PE 1: group"; "close at the end of numbers")]
#[test_case(&[], &[landing(1, 1024)], "PE 1: group 1024 lies outside"; "piece beyond the window")]
#[test_case(&[], &[landing(1, u16::MAX)], "PE 1: group"; "piece of a group long gone")]
#[test_case(&[close(0, 1, None)], &[landing(1, 0); 2], "PE 1: group"; "too many pieces")]
#[test_case(&[], &[landing(77, 0)], "PE 77, which does not exist"; "piece from nobody")]
#[test_case(&[data(0, HEAP - 3, &[1; 4])], &[], "PE 1 sent a put that does not fit"; "small put behind the heap")]
#[test_case(&[data(WINDOW, RESERVED, &[1; 4])], &[], "PE 1: group 1024 lies outside"; "small put beyond the window")]
#[test_case(&[action(Action::Get { remote: HEAP - 7, local: 0, len: 8, tag: 0 })], &[], "PE 1 asked for what is not there"; "get behind the heap")]
#[test_case(&[action(Action::Get { remote: 0, local: u64::MAX - 7, len: 64, tag: 0 })], &[], "PE 1 asked for what is not there"; "get to behind the heap")]
#[test_case(&[action(Action::Answer { tag: 3, value: 0 })], &[], "PE 1 answered what it was not asked"; "answer to nothing")]
#[test_case(&[Record::Card { nic: 2, incarnation: 1, released: Released::below(0), card: &[0; 4] }], &[], "PE 1 speaks of its NIC 2"; "card of no NIC")]
#[test_case(&[Record::Ack { low: 1 }], &[], "PE 1: acknowledged up to 1"; "acknowledged what was not sent")]
#[test_case(&[close(0, 0, Some(set(HEAP)))], &[], "PE 1 sent a signal that cannot"; "signal behind the heap")]
#[test_case(&[close(0, 0, Some(set(HEAP - 4)))], &[], "PE 1 sent a signal that cannot"; "signal across the end")]
#[test_case(&[close(0, 0, Some(set(u64::MAX - 7)))], &[], "PE 1 sent a signal that cannot"; "signal far out")]
#[test_case(&[close(0, 0, Some(set(4097)))], &[], "PE 1 sent a signal that cannot"; "signal between words")]
fn the_error_names_the_peer(records: &[Record<'_>], landings: &[u64], expected: &str) {
    for seed in 0..8 {
        let _seed = Seed(seed);
        let mut world = world_in(seed, Weather { reopens: true, ..Weather::fair() });
        let error = verdict(&mut world, records, landings);
        assert!(error.contains(expected), "{error}");
        // The first words are the event that wakes waiters.
        let heap = bytes(&world.heaps[0], 8, HEAP - 8);
        assert!(heap.iter().all(|&byte| byte == 0), "something was applied");
    }
}

/// Nobody may be made to forget what has landed through a NIC that cannot be closed.
#[test_case(&Record::Fence { nic: 0, incarnation: 0 }; "asked for")]
#[test_case(&Record::Card { nic: 0, incarnation: 1, released: Released::below(0), card: &[] }; "told of")]
fn a_fence_is_no_matter_where_nics_cannot_be_closed(record: &Record<'_>) {
    let mut world = world(0);
    let error = verdict(&mut world, std::slice::from_ref(record), &[]);
    assert!(error.contains("PE 1 speaks of fencing"), "{error}");
}

#[test]
fn a_frame_that_cannot_be_read_names_its_nic() {
    let mut world = world(0);
    world.fabric.forge_frame(VICTIM, &[1; 7]);
    let error = world.turn_one(0, 100).unwrap_err();
    assert!(error.contains("NIC 1"), "{error}");
    assert!(error.contains("7 bytes"), "{error}");
}

#[test]
fn a_ledger_without_bounds_does_not_overflow() {
    let mut world = world(0);
    for seq in 0..3 {
        let ledger = vec![u64::MAX; 32];
        let close = Close { seq, pieces: 0, action: None, flush: false, again: false, ledger };
        world.fabric.forge_frame(VICTIM, &framed(&Record::Close(close)));
    }
    world.turn_one(0, 100).unwrap();
}

/// A frame by chance: plausible, damaged, or noise.
fn any_frame(rng: &mut Rng) -> Vec<u8> {
    if rng.chance(5) {
        return (0..rng.below(400)).map(|_| rng.next().to_le_bytes()[0]).collect();
    }
    let odd = |rng: &mut Rng| if rng.chance(3) { rng.next() } else { rng.below(20) };
    let signal = rng.chance(50).then(|| Signal {
        offset: if rng.chance(3) { rng.next() } else { 8 * rng.below(HEAP / 8) },
        op: if rng.chance(50) { SignalOp::Set } else { SignalOp::Add },
        value: rng.next(),
    });
    let mut frame = Frame::new(u16::try_from(rng.below(3)).unwrap(), 40);
    for _ in 0..rng.between(1, 3) {
        let action = signal.map(|signal| Action::Change(signal.into()));
        let record = match rng.below(20) {
            0 | 1 => Record::Ack { low: odd(rng) },
            2 => Record::Ask { nonce: odd(rng) },
            3 => Record::Fence { nic: u16::try_from(odd(rng) & 0xffff).unwrap(), incarnation: 0 },
            4 => {
                let progress = vec![Progress::default(); rng.index(33)];
                Record::State { nonce: odd(rng), released: Released::below(odd(rng)), progress }
            }
            5 => {
                let (nic, incarnation) = (u16::try_from(rng.below(3)).unwrap(), 1);
                Record::Card { nic, incarnation, released: Released::below(odd(rng)), card: &[0; 4] }
            }
            6 => Record::Echo { nonce: odd(rng) },
            7 => action_by_chance(rng),
            8..10 => Record::Data(Data {
                seq: odd(rng),
                remote: odd(rng),
                action,
                again: rng.chance(50),
                bytes: &[7; 9],
            }),
            _ => {
                let pieces = u32::try_from(rng.below(3)).unwrap();
                let ledger = (0..rng.below(33)).map(|_| odd(rng)).collect();
                Record::Close(Close {
                    seq: odd(rng),
                    pieces,
                    action,
                    flush: rng.chance(50),
                    again: rng.chance(20),
                    ledger,
                })
            }
        };
        let _ = frame.push(&record);
    }
    let mut bytes = frame.as_slice().to_vec();
    if rng.chance(5) {
        let at = rng.index(bytes.len());
        bytes[at] ^= 1 << rng.below(8);
    }
    bytes
}

fn action_by_chance(rng: &mut Rng) -> Record<'static> {
    match rng.below(3) {
        0 => {
            let local = if rng.chance(10) { rng.next() } else { rng.below(HEAP) };
            action(Action::Get { remote: rng.below(HEAP), local, len: rng.below(64), tag: 0 })
        }
        1 => action(Action::Answer { tag: 1, value: 1 }),
        _ => action(Action::Fetch { atomic: set(8 * rng.below(HEAP / 8)).into(), tag: 9 }),
    }
}

#[test]
fn whatever_arrives_the_proxy_does_not_panic() {
    let mut stopped = 0;
    for seed in 0..500 {
        let _seed = Seed(seed);
        let mut rng = Rng::new(seed);
        let mut world = world_in(seed, Weather { reopens: seed % 2 == 0, ..Weather::fair() });
        for _ in 0..rng.between(1, 30) {
            let nic = PeerNic { pe: 0, nic: u16::try_from(rng.below(2)).unwrap() };
            if rng.chance(70) {
                world.fabric.forge_frame(nic, &any_frame(&mut rng));
            } else {
                let immediate = if rng.chance(5) { rng.next() } else { landing(LIAR, 0) + rng.below(20) };
                world.fabric.forge_landing(nic, immediate, rng.below(100));
            }
        }
        if let Err(error) = world.turn_one(0, 50) {
            assert!(error.contains("PE ") || error.contains("NIC "), "{error}");
            stopped += 1;
        }
    }
    assert!((50..500).contains(&stopped), "{stopped} of 500 stopped the proxy: a dull test");
}

#[test]
fn a_failed_nic_is_named() {
    let mut world = world(0);
    world.fabric.break_nic(VICTIM, "the cable is out");
    let caller = world.callers.remove(0);
    Driver::new(caller.proxy).run();
    let reason = caller.fault.reason().unwrap();
    assert!(reason.contains("NIC mock0.1"), "{reason}");
    assert!(reason.contains("the cable is out"), "{reason}");
}

#[test]
fn a_fault_elsewhere_ends_the_proxy_and_stays_the_reason() {
    let mut world = world(0);
    world.fabric.break_nic(VICTIM, "a consequence");
    let caller = world.callers.remove(0);
    caller.fault.raise("PE 2 left");
    Driver::new(caller.proxy).run();
    assert_eq!(caller.fault.reason(), Some("PE 2 left"));
}

#[test]
fn a_put_to_nobody_is_refused() {
    let mut world = world(0);
    let put = Put { dst: 9, local: RESERVED, remote: RESERVED, len: 8, signal: None };
    world.program(0, [Step::Post(Command::Put(put))]);
    let error = world.turn_one(0, 2).unwrap_err();
    assert!(error.contains("PE 9, which does not exist"), "{error}");
}
