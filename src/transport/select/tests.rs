//! What the policies promise: their contract formulas, and routes that exist and use both sides evenly.

mod plans;
mod skew;
mod slow_nic;
mod tables;

use proptest::prelude::*;
use test_case::test_case;

use super::*;

/// The NICs of a small put between PEs with `nics` NICs each.
fn next(selector: &mut Selector, dst: u32, nics: u16) -> Route {
    selector.next(Op { dst, len: 64, peer_nics: nics }, &[]).first()
}

#[test]
fn contract_formulas() {
    let place = Place { me: 3, pes: 8, nics: 4 };
    let mut rr = Selector::new(PolicyKind::RoundRobin, place);
    assert_eq!((0..6).map(|_| next(&mut rr, 5, 4).local).collect::<Vec<_>>(), [0, 1, 2, 3, 0, 1]);

    let mut offset = Selector::new(PolicyKind::RoundRobinOffset, place);
    // base = (3 + 5) % 4 = 0, then (3 + 6) % 4 = 1; r counts every operation, whatever its destination.
    assert_eq!(next(&mut offset, 5, 4), Route { local: 0, remote: 0 });
    assert_eq!(next(&mut offset, 6, 4), Route { local: 1, remote: 2 });
    assert_eq!(next(&mut offset, 5, 4), Route { local: 2, remote: 2 });

    // With small puts and nothing in flight the other two are pair-seq.
    for kind in [PolicyKind::PairSeq, PolicyKind::Stripe] {
        let mut pair = Selector::new(kind, place);
        assert_eq!(next(&mut pair, 5, 4), Route::aligned(0));
        assert_eq!(next(&mut pair, 6, 4), Route::aligned(1));
        assert_eq!(next(&mut pair, 5, 4), Route::aligned(1));
        assert_eq!(next(&mut pair, 6, 4), Route::aligned(2));
    }
}

#[test]
fn stripe_starts_at_the_pair_s_nic_and_leaves_the_small_ones_their_turn() {
    let mut stripe = Selector::new(PolicyKind::Stripe, Place { me: 3, pes: 8, nics: 4 });
    let op = |len| Op { dst: 6, len, peer_nics: 4 };
    for round in 0..8_u16 {
        let large: Vec<_> = stripe.next(op(1 << 20), &[]).parts(1 << 20).collect();
        assert_eq!(large.iter().map(|part| part.route.local).collect::<Vec<_>>(), [1, 2, 3, 0]);
        assert!(large.iter().all(|part| part.len == 1 << 18 && part.route.local == part.route.remote));
        // A large one in between every time: the small ones still use every NIC.
        assert_eq!(stripe.next(op(64), &[]).first(), Route::aligned((1 + round) % 4));
    }
    let parts = |stripe: &mut Selector, len| stripe.next(op(len), &[]).parts(len).count();
    assert_eq!((parts(&mut stripe, (128 << 10) - 1), parts(&mut stripe, 128 << 10)), (1, 4), "the threshold");
}

/// Over many NICs a share would get small: fewer then, in rounds that use all.
#[test_case(16, 128 << 10, 8; "half")]
#[test_case(16, 256 << 10, 16; "all")]
#[test_case(12, 128 << 10, 6; "the largest divisor that fits")]
#[test_case(13, 128 << 10, 7; "a prime, for which a divisor would be one")]
#[test_case(1, 128 << 10, 1; "one NIC has nothing to split over")]
fn shares_of_a_stripe(nics: u16, len: u64, expected: usize) {
    let mut stripe = Selector::new(PolicyKind::Stripe, Place { me: 0, pes: 2, nics });
    let mut bytes = vec![0; usize::from(nics)];
    for _ in 0..nics {
        let parts = stripe.next(Op { dst: 1, len, peer_nics: nics }, &[]).parts(len);
        assert_eq!(parts.clone().count(), expected);
        parts.for_each(|part| bytes[usize::from(part.route.remote)] += part.len);
    }
    let (most, least) = (bytes.iter().max().unwrap(), bytes.iter().min().unwrap());
    assert!(most - least <= u64::from(nics) * CUT, "{bytes:?}");
}

#[test]
fn least_loaded_takes_the_nic_with_the_least() {
    let place = Place { me: 1, pes: 4, nics: 4 };
    let mut selector = Selector::new(PolicyKind::LeastLoaded, place);
    let mut take =
        |len, in_flight: &[u64]| selector.next(Op { dst: 2, len, peer_nics: 4 }, in_flight).first().local;
    assert_eq!(take(1000, &[5, 4, 3, 9]), 2);
    assert_eq!(take(1000, &[u64::MAX, u64::MAX, 1 << 50, u64::MAX]), 2, "huge is still comparable");
    assert_eq!(take(u64::MAX, &[7, 7, 7]), 3, "a NIC without a figure is idle");
    assert_eq!(take(1000, &[7, 7, 7]), 2, "ties start at me + dst + 3");
}

#[test]
fn ties_of_least_loaded_walk_from_where_the_pair_says() {
    let mut selector = Selector::new(PolicyKind::LeastLoaded, Place { me: 1, pes: 4, nics: 4 });
    let mut signal = |dst| selector.next(Op { dst, len: 0, peer_nics: 4 }, &[6; 4]).first().local;
    assert_eq!([signal(2), signal(2), signal(3), signal(2)], [3, 0, 0, 1]);
}

#[test]
fn figures_that_stand_still_do_not_send_everything_to_one_nic() {
    let mut selector = Selector::new(PolicyKind::LeastLoaded, Place { me: 0, pes: 4, nics: 4 });
    let old = [0, 400, 400, 400];
    let mut ops = [0; 4];
    for _ in 0..39 {
        ops[usize::from(selector.next(Op { dst: 1, len: 100, peer_nics: 4 }, &old).first().local)] += 1;
    }
    // What NIC 0 was behind, and then a quarter each.
    assert!(ops[0] >= 12 && ops[1..].iter().all(|&count| count >= 8), "{ops:?}");
    // New figures replace what was added to the old ones.
    let route = selector.next(Op { dst: 1, len: 100, peer_nics: 4 }, &[0, 1, 1, 1]).first();
    assert_eq!(route.local, 0);
}

#[test]
fn names_parse_back_and_others_do_not() {
    for kind in PolicyKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    let error = "robin".parse::<PolicyKind>().unwrap_err().to_string();
    assert!(error.contains("pair-seq") && error.contains("least-loaded"), "{error}");
}

/// Both sides' NICs carry the same, whatever their numbers, over a whole number of turns of both.
#[test_case(2, 4)]
#[test_case(4, 2)]
#[test_case(3, 4)]
#[test_case(4, 3)]
#[test_case(1, 32)]
#[test_case(32, 1)]
#[test_case(4, 4)]
fn both_sides_are_used_evenly(own: u16, peer: u16) {
    for kind in PolicyKind::ALL.into_iter().filter(|&kind| kind != PolicyKind::Single) {
        for len in [1, 4096, 200 << 10, 4 << 20] {
            let mut selector = Selector::new(kind, Place { me: 5, pes: 8, nics: own });
            let (mut tx, mut rx) = (vec![0; usize::from(own)], vec![0; usize::from(peer)]);
            for _ in 0..u64::from(own) * u64::from(peer) * 4 {
                for part in selector.next(Op { dst: 2, len, peer_nics: peer }, &[]).parts(len) {
                    tx[usize::from(part.route.local)] += part.len;
                    rx[usize::from(part.route.remote)] += part.len;
                }
            }
            for side in [tx, rx] {
                let side: Vec<_> = side.iter().map(|&bytes: &u64| bytes as f64).collect();
                let ratio = crate::balance::max_over_mean(&side).unwrap();
                assert!(ratio <= 1.02, "{kind}, {len} bytes, {own} to {peer}: {side:?}");
            }
        }
    }
}

fn any_policy() -> impl Strategy<Value = PolicyKind> {
    prop::sample::select(PolicyKind::ALL.to_vec())
}

/// Lengths of every order of magnitude, and those near a power of two.
fn any_len() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        (0_u32..64, any::<u64>()).prop_map(|(shift, bits)| bits >> shift),
        (0_u32..63, 0_u64..3).prop_map(|(shift, more)| ((1 << shift) + more).saturating_sub(1)),
    ]
}

prop_compose! {
    fn any_op()(dst in 0_u32..300, len in any_len(), peer_nics in 1_u16..40) -> Op {
        Op { dst, len, peer_nics }
    }
}

proptest! {
    /// For every policy: routes exist, every byte is in one part and in order, cuts are aligned, no bytes make one part.
    /// PEs 200 and up are not in the job.
    #[test]
    fn every_byte_once_over_nics_that_exist(
        kind in any_policy(),
        me in any::<u32>(),
        nics in 1_u16..40,
        calls in prop::collection::vec((any_op(), prop::collection::vec(any::<u64>(), 0..40)), 1..60),
    ) {
        let place = Place { me, pes: 200, nics };
        let (mut selector, mut twin) = (Selector::new(kind, place), Selector::new(kind, place));
        for (op, in_flight) in calls {
            let plan = selector.next(op, &in_flight);
            prop_assert_eq!(plan, twin.next(op, &in_flight), "same inputs, same answer");
            let mut end = 0;
            let parts: Vec<_> = plan.parts(op.len).collect();
            prop_assert_eq!(parts[0].route, plan.first());
            for part in &parts {
                prop_assert!(part.route.local < nics && part.route.remote < op.peer_nics, "{:?}", part);
                prop_assert_eq!(part.offset, end);
                prop_assert_eq!(part.offset % CUT, 0);
                prop_assert!(part.len > 0 || (op.len == 0 && parts.len() == 1));
                end = part.offset + part.len;
            }
            prop_assert_eq!(end, op.len);
            prop_assert!(parts.len() < usize::from(nics) + usize::from(op.peer_nics));
        }
    }

    /// Where both sides have as many NICs, rails stay aligned under all policies but the one that is made not to.
    #[test]
    fn rails_stay_aligned(
        kind in any_policy(),
        me in 0_u32..64,
        nics in 1_u16..40,
        calls in prop::collection::vec((0_u32..64, any_len(), prop::collection::vec(any::<u64>(), 0..8)), 1..60),
    ) {
        prop_assume!(kind != PolicyKind::RoundRobinOffset);
        let mut selector = Selector::new(kind, Place { me, pes: 64, nics });
        for (dst, len, in_flight) in calls {
            for part in selector.next(Op { dst, len, peer_nics: nics }, &in_flight).parts(len) {
                prop_assert_eq!(part.route.local, part.route.remote);
            }
        }
    }

    /// Whatever the other destinations do, pair-seq gives each pair its rails in turn.
    #[test]
    fn pair_seq_cannot_be_locked_onto_a_rail(me in 0_u32..64, nics in 1_u16..17, dsts in prop::collection::vec(0_u32..64, 1..400)) {
        let mut selector = Selector::new(PolicyKind::PairSeq, Place { me, pes: 64, nics });
        let mut last = std::collections::HashMap::new();
        for dst in dsts {
            let nic = next(&mut selector, dst, nics).remote;
            if let Some(before) = last.insert(dst, nic) {
                prop_assert_eq!(nic, (before + 1) % nics);
            }
        }
    }
}
