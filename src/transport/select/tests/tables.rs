//! Tx and Rx of all-to-alls under every policy, for each order in which peers may be visited.
//!
//! The figures of the older policies are those that NVSHMEM's formulas give for its own order (ring, own node skipped).

use test_case::test_case;

use super::*;
use crate::balance::max_over_mean;

/// The order in which a PE goes through the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// `me + 1`, `me + 2`, …: NVSHMEM's.
    Ring,
    /// 0, 1, 2, …
    Ascending,
    /// Another one for each PE and iteration.
    Random,
}

/// An all-to-all: PEs, PEs of a node (which are skipped; with 1 it is only oneself), NICs, order.
#[derive(Debug, Clone, Copy)]
struct Job(u32, u32, u16, Order);

/// What it did to the NICs of the PE that fared worst.
struct Outcome {
    /// Busiest sending NIC over the mean.
    tx: f64,
    /// Busiest receiving NIC over the mean.
    rx: f64,
    /// Most senders that met on one receiving NIC, if all PEs post in step.
    senders: usize,
}

/// `xorshift64*`: the same numbers on every machine.
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// In 0..1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Job {
    fn peers(self, me: u32, random: &mut Random) -> Vec<u32> {
        let Self(pes, per_node, _, order) = self;
        let all = (0..pes).map(|step| if order == Order::Ring { (me + step) % pes } else { step });
        let mut peers: Vec<_> = all.filter(|dst| dst / per_node != me / per_node).collect();
        if order == Order::Random {
            for index in (1..peers.len()).rev() {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a number from 0 to index"
                )]
                let other = (random.unit() * (index + 1) as f64) as usize;
                peers.swap(index, other);
            }
        }
        peers
    }

    /// Runs it with operations of `len` bytes, all in flight until an iteration is over.
    fn run(self, kind: PolicyKind, len: u64, iterations: u32) -> Outcome {
        let Self(pes, _, nics, _) = self;
        let (count, width) = (pes as usize, usize::from(nics));
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut selectors: Vec<_> = (0..pes).map(|me| Selector::new(kind, Place { me, pes, nics })).collect();
        let (mut tx, mut rx) = (vec![vec![0.0; width]; count], vec![vec![0.0; width]; count]);
        let mut senders = 0;
        for _ in 0..iterations {
            let mut in_flight = vec![vec![0; width]; count];
            let orders: Vec<_> = (0..pes).map(|me| self.peers(me, &mut random)).collect();
            for step in 0..orders[0].len() {
                let mut arriving = vec![vec![0_usize; width]; count];
                for (me, order) in orders.iter().enumerate() {
                    let dst = order[step];
                    let plan = selectors[me].next(Op { dst, len, peer_nics: nics }, &in_flight[me]);
                    for part in plan.parts(len) {
                        let (local, remote) = (usize::from(part.route.local), usize::from(part.route.remote));
                        tx[me][local] += part.len as f64;
                        in_flight[me][local] += part.len;
                        rx[dst as usize][remote] += part.len as f64;
                        arriving[dst as usize][remote] += 1;
                    }
                }
                senders = arriving.iter().flatten().copied().fold(senders, usize::max);
            }
        }
        let worst =
            |table: &[Vec<f64>]| table.iter().filter_map(|row| max_over_mean(row)).fold(0.0, f64::max);
        Outcome { tx: worst(&tx), rx: worst(&rx), senders }
    }
}

const SMALL: u64 = 4096;
const LARGE: u64 = 1 << 20;

fn near(actual: f64, expected: f64) -> bool {
    (actual - expected).abs() < 0.005
}

#[test_case(Job(16, 8, 4, Order::Ring), [(4.0, 4.0, 8), (1.0, 4.0, 8), (1.0, 1.0, 2), (1.0, 1.0, 2)]; "2 nodes of 8, NVSHMEM's order")]
#[test_case(Job(32, 8, 4, Order::Ascending), [(4.0, 4.0, 24), (1.0, 4.0, 24), (1.0, 1.0, 6), (1.0, 1.0, 6)]; "4 nodes of 8, ascending")]
#[test_case(Job(8, 2, 4, Order::Ring), [(4.0, 4.0, 2), (1.0, 2.0, 2), (1.0, 1.0, 1), (1.0, 1.0, 1)]; "4 nodes of 2, NVSHMEM's order")]
fn the_known_figures(job: Job, expected: [(f64, f64, usize); 4]) {
    for (kind, (tx, rx, senders)) in PolicyKind::ALL.into_iter().zip(expected) {
        let outcome = job.run(kind, SMALL, 40);
        let Outcome { tx: was_tx, rx: was_rx, senders: met } = outcome;
        assert!(near(was_tx, tx) && near(was_rx, rx), "{kind} {job:?}: {was_tx} {was_rx}");
        assert_eq!(met, senders, "{kind} {job:?}");
    }
}

#[test]
fn any_order_is_even_under_pair_seq_and_stripe() {
    for order in [Order::Ring, Order::Ascending, Order::Random] {
        for (pes, per_node) in
            [(16, 8), (32, 8), (64, 8), (128, 8), (8, 2), (8, 4), (16, 1), (12, 4), (14, 7)]
        {
            for nics in [1, 2, 3, 4, 8, 16] {
                let job = Job(pes, per_node, nics, order);
                // As many iterations as give each pair a whole number of turns over the rails.
                for (kind, len) in
                    [(PolicyKind::PairSeq, SMALL), (PolicyKind::Stripe, SMALL), (PolicyKind::Stripe, LARGE)]
                {
                    let outcome = job.run(kind, len, 2 * u32::from(nics));
                    let Outcome { tx, rx, .. } = outcome;
                    assert!(tx < 1.005 && rx < 1.005, "{kind} {len} {job:?}: {tx} {rx}");
                }
            }
        }
    }
}

#[test]
fn random_order_in_figures() {
    let job = Job(16, 1, 4, Order::Random);
    let [single, rr, offset, pair, stripe, least] = PolicyKind::ALL.map(|kind| job.run(kind, SMALL, 40));
    assert!(near(single.tx, 4.0) && near(single.rx, 4.0));
    for even in [&pair, &stripe] {
        assert!(near(even.tx, 1.0) && near(even.rx, 1.0), "{} {}", even.tx, even.rx);
    }
    for (kind, outcome) in [("rr", &rr), ("offset", &offset), ("least", &least)] {
        // Least-loaded forgets who had one operation more once all are done, hence not quite 1.
        assert!(outcome.tx < 1.06, "{kind}: {}", outcome.tx);
        assert!((1.02..1.3).contains(&outcome.rx), "{kind}: {}", outcome.rx);
    }
}

#[test]
fn a_single_iteration() {
    // 15 puts over 4 NICs cannot be more even than 4 on the busiest: 16/15.
    let job = Job(16, 1, 4, Order::Ring);
    for kind in [PolicyKind::RoundRobin, PolicyKind::PairSeq, PolicyKind::LeastLoaded] {
        let outcome = job.run(kind, SMALL, 1);
        assert!(near(outcome.tx, 16.0 / 15.0), "{kind}: {}", outcome.tx);
        assert!(near(outcome.rx, 16.0 / 15.0), "{kind}: {}", outcome.rx);
    }
    let striped = job.run(PolicyKind::Stripe, LARGE, 1);
    assert!(near(striped.tx, 1.0) && near(striped.rx, 1.0));
}

#[test]
fn least_loaded_is_even_in_nvshmem_s_order_and_nearly_so_in_any() {
    for order in [Order::Ring, Order::Ascending, Order::Random] {
        for (pes, per_node) in [(16, 8), (32, 8), (64, 8), (128, 8), (8, 2), (8, 4)] {
            let job = Job(pes, per_node, 4, order);
            let outcome = job.run(PolicyKind::LeastLoaded, SMALL, 40);
            // In random order 6 operations over 4 NICs are 2, 2, 1, 1 in an iteration, and it sees no other.
            let limit = if order == Order::Random { 1.3 } else { 1.01 };
            assert!(outcome.tx < limit && outcome.rx < limit, "{job:?}: {} {}", outcome.tx, outcome.rx);
        }
    }
}

#[test]
fn the_collapse_at_every_size_of_job() {
    for nodes in [2, 4, 8, 16] {
        let job = Job(nodes * 8, 8, 4, Order::Ring);
        let collapsed = job.run(PolicyKind::RoundRobin, SMALL, 8);
        assert!(near(collapsed.tx, 1.0) && near(collapsed.rx, 4.0), "{nodes} nodes");
        for fair in [PolicyKind::RoundRobinOffset, PolicyKind::PairSeq, PolicyKind::LeastLoaded] {
            let outcome = job.run(fair, SMALL, 8);
            assert!(near(outcome.tx, 1.0) && near(outcome.rx, 1.0), "{fair}, {nodes} nodes");
            assert_eq!(outcome.senders, 2, "{fair}, {nodes} nodes");
        }
    }
    // 16 NICs and 8 remote peers: two of 16.
    assert!(near(Job(16, 8, 16, Order::Ring).run(PolicyKind::RoundRobin, SMALL, 16).rx, 8.0));
    // 6 remote peers and 4 NICs: two of four.
    assert!(near(Job(12, 6, 4, Order::Ring).run(PolicyKind::RoundRobin, SMALL, 16).rx, 2.0));
}

#[test]
fn totals_can_hide_what_short_windows_show() {
    // 7 or 5 remote peers, 4 NICs: the totals of round-robin come out even, yet all senders meet on one NIC each time.
    for peers in [7, 5] {
        let job = Job(2 * peers, peers, 4, Order::Ring);
        let hidden = job.run(PolicyKind::RoundRobin, SMALL, 40);
        assert!(hidden.rx < 1.01, "totals look even: {}", hidden.rx);
        assert_eq!(hidden.senders, peers as usize);
        for fair in [PolicyKind::RoundRobinOffset, PolicyKind::PairSeq, PolicyKind::Stripe] {
            let outcome = job.run(fair, SMALL, 40);
            assert!(outcome.rx < 1.01, "{fair}: {}", outcome.rx);
            assert_eq!(outcome.senders, 2, "{fair}");
        }
    }
}
