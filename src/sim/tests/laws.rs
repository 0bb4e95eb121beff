//! What no cluster can do, and what can be worked out by hand.

use proptest::prelude::*;
use test_case::test_case;

use super::go;
use crate::balance::Direction;
use crate::sim::costs::{Costs, Preset};
use crate::sim::limit::bound;
use crate::sim::made::scene;
use crate::sim::outcome::{NicMoved, Outcome};
use crate::sim::scene::{Scene, Slow, wire};
use crate::sim::traffic::{AllToAll, Moe, Put, PutTest, Shape, Traffic};
use crate::skew::Skew;
use crate::transport::select::PolicyKind;

fn any_policy() -> impl Strategy<Value = PolicyKind> {
    prop::sample::select(PolicyKind::ALL.to_vec())
}

/// Bytes that are sent are received, at the PE that they were for; no NIC is faster than its rate, and no run longer than was said
/// before.
fn holds(scene: &Scene, traffic: &impl Traffic, outcome: &Outcome) -> Result<(), TestCaseError> {
    let pes: Vec<Vec<NicMoved>> = outcome.pes().collect();
    let mut due = vec![(0, 0); pes.len()];
    let mut puts = 0;
    for round in 0..scene.iters {
        for (src, _) in pes.iter().enumerate() {
            for put in traffic.stream(u32::try_from(src).unwrap(), round) {
                due[src].0 += put.len;
                due[put.dst as usize].1 += put.len;
                puts += 1;
            }
        }
    }
    let sum = |nics: &[NicMoved], of: fn(&NicMoved) -> u64| nics.iter().map(of).sum::<u64>();
    let moved: Vec<(u64, u64)> =
        pes.iter().map(|nics| (sum(nics, |nic| nic.tx_bytes), sum(nics, |nic| nic.rx_bytes))).collect();
    prop_assert_eq!(moved, due);
    prop_assert_eq!(outcome.puts, puts);
    prop_assert!(u128::from(outcome.span_ps) <= bound(scene, traffic));
    for (index, nic) in (0..).zip(pes.iter().flatten()) {
        let least = wire(nic.tx_bytes.max(nic.rx_bytes), scene.byte_time(index));
        // Each segment's time is rounded down by less than a picosecond.
        prop_assert!(
            outcome.span_ps + outcome.events >= least,
            "NIC {}: {} < {}",
            index,
            outcome.span_ps,
            least
        );
    }
    for way in Direction::BOTH {
        for (pe, nics) in pes.iter().enumerate() {
            for (number, nic) in nics.iter().enumerate() {
                let row = outcome.windows.row(way, pe * nics.len() + number);
                let bytes = if way == Direction::Tx { nic.tx_bytes } else { nic.rx_bytes };
                prop_assert_eq!(row.iter().sum::<u64>(), bytes, "windows of PE {} NIC {}", pe, number);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn all_to_all_keeps_the_law(
        policy in any_policy(), nodes in 2_u32..7, pes in 1_u32..5, nics in 1_u16..6, size in 1_u64..1 << 24, iters in 1_u32..4,
        seed: u64, slow in 0_u32..3, jitter in 0_u64..500_000, queue in 1_u16..9, window in 1_u16..9, lab: bool,
        crowd_us in 0_u64..1000, most_again in 0_u64..5,
    ) {
        let mut scene = scene(if lab { Preset::Lab } else { Preset::EfaP5 }, nodes);
        (scene.pes_per_node, scene.nics_per_pe, scene.iters, scene.seed) = (pes, nics, iters, seed);
        scene.slow = Some(Slow { count: slow.min(nodes), rate_ppm: 300_000 });
        scene.jitter_ppm = jitter;
        (scene.costs.queue, scene.costs.window) = (queue, window);
        (scene.costs.crowd_ps, scene.costs.most_again) = (crowd_us * 1_000_000, most_again);
        let traffic = AllToAll::new(&scene, size).unwrap();
        holds(&scene, &traffic, &go(&scene, &traffic, policy))?;
    }

    #[test]
    fn moe_keeps_the_law(policy in any_policy(), nodes in 2_u32..6, tokens in 1_u32..40, exponent in 0.0..3.0_f64, seed: u64) {
        let mut scene = scene(Preset::EfaP5, nodes);
        scene.seed = seed;
        let skew = Skew::Zipf(exponent);
        let traffic = Moe::new(&scene, Shape { tokens, experts: 64, topk: 6, bytes: 7408, skew }).unwrap();
        holds(&scene, &traffic, &go(&scene, &traffic, policy))?;
    }
}

#[test]
fn a_put_over_four_nics_takes_a_quarter_of_its_time_over_one() {
    for preset in [Preset::EfaP5, Preset::Lab] {
        let mut scene = scene(preset, 2);
        (scene.pes_per_node, scene.iters) = (1, 10);
        let traffic = PutTest::new(&scene, 128 << 20, 32).unwrap();
        let one = go(&scene, &traffic, PolicyKind::Single).latency_us();
        for policy in PolicyKind::ALL.into_iter().filter(|&policy| policy != PolicyKind::Single) {
            let outcome = go(&scene, &traffic, policy);
            holds(&scene, &traffic, &outcome).unwrap();
            let gain = one / outcome.latency_us();
            assert!((3.9..=4.0).contains(&gain), "{policy}: {gain}");
        }
    }
}

#[test]
fn one_put_takes_what_it_costs() {
    let mut scene = scene(Preset::EfaP5, 2);
    scene.pes_per_node = 1;
    let costs = &scene.costs;
    // Less than a segment: its cost for the proxy, the way, and its bytes.
    let len = 40_000;
    let expected = costs.put_ps + costs.latency_ps + wire(len, scene.byte_time(0));
    let traffic = PutTest::new(&scene, len, 1).unwrap();
    for policy in PolicyKind::ALL {
        assert_eq!(go(&scene, &traffic, policy).span_ps, expected, "{policy}");
    }
}

#[test]
fn eight_senders_on_one_nic_wait_for_each_other() {
    // All-to-all of two nodes with one NIC per PE: eight blocks through each NIC, one after another, however they meet.
    let mut scene = scene(Preset::Lab, 2);
    scene.nics_per_pe = 1;
    let traffic = AllToAll::new(&scene, 256 << 20).unwrap();
    let outcome = go(&scene, &traffic, PolicyKind::PairSeq);
    let wires = wire(128 << 20, scene.byte_time(0));
    // All eight begin with the same receiver, so the others begin late: by as many segments, which are 32nds of a block here.
    let late =
        8 * wire((16 << 20) / 32, scene.byte_time(0)) + 10 * scene.costs.put_ps + 3 * scene.costs.latency_ps;
    assert!((wires..wires + late).contains(&outcome.span_ps), "{} {wires} {late}", outcome.span_ps);
    assert_eq!(outcome.most_at_once(), 8);
}

/// PE 0 sends a put to each of the others.
struct Fan {
    others: u32,
    len: u64,
}

impl Traffic for Fan {
    type Stream = std::vec::IntoIter<Put>;

    fn stream(&self, pe: u32, _round: u32) -> Self::Stream {
        let others = if pe == 0 { self.others } else { 0 };
        (0..others).map(|other| Put { dst: other + 1, len: self.len }).collect::<Vec<_>>().into_iter()
    }

    fn each(&self) -> u64 {
        self.others.into()
    }

    fn largest(&self) -> u64 {
        self.len
    }

    fn about(&self) -> u64 {
        self.others.into()
    }
}

#[test_case(7, 3, |_| 31 * 31 * 7; "each put but the first begins beside 31 others")]
#[test_case(1 << 40, 3, |own| 31 * 3 * own; "three times its own bytes at most")]
#[test_case(1 << 40, 0, |_| 0; "never again")]
fn a_crowd_costs_what_its_parameters_say(crowd_ps: u64, most_again: u64, lost: fn(u64) -> u64) {
    // 32 puts at one NIC, all of them there before the first segment of the first is sent.
    let mut scene = scene(Preset::EfaP5, 33);
    (scene.pes_per_node, scene.nics_per_pe) = (1, 1);
    scene.costs = Costs { put_ps: 1, crowd_ps: 0, ..scene.costs };
    let traffic = Fan { others: 32, len: 256 << 10 };
    let free = go(&scene, &traffic, PolicyKind::Single).span_ps;
    (scene.costs.crowd_ps, scene.costs.most_again) = (crowd_ps, most_again);
    let crowded = go(&scene, &traffic, PolicyKind::Single);
    holds(&scene, &traffic, &crowded).unwrap();
    assert_eq!(crowded.span_ps - free, lost(wire(256 << 10, scene.byte_time(0))));
}

#[test]
fn puts_to_one_pe_are_no_crowd() {
    let mut scene = scene(Preset::EfaP5, 2);
    let traffic = PutTest::new(&scene, 128 << 20, 32).unwrap();
    let crowded = go(&scene, &traffic, PolicyKind::Single).span_ps;
    scene.costs.crowd_ps = 0;
    assert_eq!(go(&scene, &traffic, PolicyKind::Single).span_ps, crowded);
}

#[test]
fn the_policies_are_as_even_as_docs_policies_says() {
    // 16 PEs in ring order: Rx on one NIC of four under round-robin, even under the others.
    let scene = scene(Preset::Lab, 2);
    let traffic = AllToAll::new(&scene, 1 << 20).unwrap();
    let worst = |policy, way| {
        let outcome = go(&scene, &traffic, policy);
        outcome.balance(way).worst.unwrap().max_over_mean.unwrap()
    };
    for (policy, tx, rx) in [
        (PolicyKind::Single, 4.0, 4.0),
        (PolicyKind::RoundRobin, 1.0, 4.0),
        (PolicyKind::RoundRobinOffset, 1.0, 1.0),
        (PolicyKind::PairSeq, 1.0, 1.0),
    ] {
        assert_eq!((worst(policy, Direction::Tx), worst(policy, Direction::Rx)), (tx, rx), "{policy}");
    }
}

#[test]
fn a_slow_nic_costs_those_who_cannot_go_round_it() {
    let mut scene = scene(Preset::Lab, 2);
    let traffic = AllToAll::new(&scene, 64 << 20).unwrap();
    let time = |scene: &Scene, policy| go(scene, &traffic, policy).latency_us();
    let healthy = time(&scene, PolicyKind::PairSeq);
    scene.slow = Some(Slow { count: 1, rate_ppm: 500_000 });
    let slow = time(&scene, PolicyKind::PairSeq);
    assert!(
        (1.8..=2.1).contains(&(slow / healthy)),
        "the slow NIC's share takes twice as long: {}",
        slow / healthy
    );
}

#[test]
fn who_watches_may_end_it() {
    let scene = scene(Preset::Lab, 128);
    let traffic = AllToAll::new(&scene, 1 << 20).unwrap();
    let mut looks = 0;
    let ended = crate::sim::run(&scene, &traffic, PolicyKind::PairSeq, &mut |puts| {
        looks += 1;
        assert!(puts > 0);
        std::ops::ControlFlow::Break(())
    });
    assert!(ended.is_err() && looks == 1);
}
