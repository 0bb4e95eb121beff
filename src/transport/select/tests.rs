//! The policies' contract formulas, and the Tx/Rx tables they lead to in an all-to-all in ring order.

use proptest::prelude::*;
use test_case::test_case;

use super::*;
use crate::balance::max_over_mean;

/// The NICs of a small put between PEs with `nics` NICs each.
fn next(selector: &mut Selector, dst: u32, nics: u16) -> Route {
    selector.next(Op { dst, len: 64, peer_nics: nics }, &[]).first()
}

/// What an all-to-all did to the NICs of the PE that fared worst.
struct Outcome {
    /// Busiest sending NIC over the mean.
    tx: f64,
    /// Busiest receiving NIC over the mean.
    rx: f64,
    /// Most senders that met on one receiving NIC within one iteration.
    senders: usize,
}

/// Runs `iterations` all-to-alls: every PE puts to PE `me + 1`, `me + 2`, … and skips its own node, as NVSHMEM's does.
fn all_to_all(kind: PolicyKind, nodes: u32, per_node: u32, nics: u16, iterations: u32) -> Outcome {
    let pes = nodes * per_node;
    let width = usize::from(nics);
    let mut selectors: Vec<_> = (0..pes).map(|me| Selector::new(kind, Place { me, pes, nics })).collect();
    let (mut tx, mut rx) = (vec![vec![0.0; width]; pes as usize], vec![vec![0.0; width]; pes as usize]);
    let mut senders = 0;
    for _ in 0..iterations {
        let mut arriving = vec![vec![0_usize; width]; pes as usize];
        for (me, selector) in (0..pes).zip(&mut selectors) {
            for dst in (1..pes).map(|step| (me + step) % pes).filter(|dst| me / per_node != dst / per_node) {
                let route = next(selector, dst, nics);
                tx[me as usize][usize::from(route.local)] += 1.0;
                rx[dst as usize][usize::from(route.remote)] += 1.0;
                arriving[dst as usize][usize::from(route.remote)] += 1;
            }
        }
        senders = arriving.iter().flatten().copied().fold(senders, usize::max);
    }
    let worst = |table: &[Vec<f64>]| table.iter().filter_map(|row| max_over_mean(row)).fold(0.0, f64::max);
    Outcome { tx: worst(&tx), rx: worst(&rx), senders }
}

#[test_case(PolicyKind::Single, 4.0, 4.0; "one NIC of four")]
#[test_case(PolicyKind::RoundRobin, 1.0, 4.0; "rx piles up on one NIC")]
#[test_case(PolicyKind::RoundRobinOffset, 1.0, 1.0; "the fix")]
#[test_case(PolicyKind::PairSeq, 1.0, 1.0; "ours")]
fn the_article_s_table(kind: PolicyKind, tx: f64, rx: f64) {
    for (nodes, per_node) in [(2, 8), (4, 8), (8, 8), (2, 4), (3, 4)] {
        let outcome = all_to_all(kind, nodes, per_node, 4, 40);
        assert!((outcome.tx - tx).abs() < 1e-9, "{kind} {nodes}x{per_node}: tx {}", outcome.tx);
        assert!((outcome.rx - rx).abs() < 1e-9, "{kind} {nodes}x{per_node}: rx {}", outcome.rx);
    }
}

#[test]
fn totals_can_hide_what_short_windows_show() {
    // 7 remote peers, 4 NICs: the totals of round-robin come out even, yet all 7 senders meet on one NIC each time.
    let hidden = all_to_all(PolicyKind::RoundRobin, 2, 7, 4, 40);
    assert!(hidden.rx < 1.01, "totals look even: {}", hidden.rx);
    assert_eq!(hidden.senders, 7);
    for fair in [PolicyKind::RoundRobinOffset, PolicyKind::PairSeq] {
        let outcome = all_to_all(fair, 2, 7, 4, 40);
        assert!(outcome.rx < 1.01, "{fair}: {}", outcome.rx);
        assert_eq!(outcome.senders, 2, "{fair}");
    }
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

    let mut pair = Selector::new(PolicyKind::PairSeq, place);
    assert_eq!(next(&mut pair, 5, 4), Route::aligned(0));
    assert_eq!(next(&mut pair, 6, 4), Route::aligned(1));
    assert_eq!(next(&mut pair, 5, 4), Route::aligned(1));
    assert_eq!(next(&mut pair, 6, 4), Route::aligned(2));
}

#[test]
fn names_parse_back_and_others_do_not() {
    for kind in PolicyKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    let error = "robin".parse::<PolicyKind>().unwrap_err().to_string();
    assert!(error.contains("pair-seq"), "{error}");
}

fn any_policy() -> impl Strategy<Value = PolicyKind> {
    prop::sample::select(PolicyKind::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_route_always_names_existing_nics(kind in any_policy(), me in 0_u32..2000, nics in 1_u16..33, dsts in prop::collection::vec(0_u32..2000, 1..200)) {
        let mut selector = Selector::new(kind, Place { me, pes: 2000, nics });
        for dst in dsts {
            let route = next(&mut selector, dst, nics);
            prop_assert!(route.local < nics && route.remote < nics);
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
